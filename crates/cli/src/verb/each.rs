//! One call for each of several names: all at once, shown in the order in which they were named.

use std::future::Future;

use rpc::{Client, ClientError};

use crate::args::Names;
use crate::report::{Session, Stop};

/// Calls and hands back what worked; what did not is reported, and decides the exit code. All calls run at the same
/// time, so that stopping ten processes takes as long as the slowest of them.
pub(super) async fn each<T, F>(
    session: &mut Session<'_>,
    client: &Client,
    names: Names,
    call: impl Fn(Client, String) -> F,
) -> Result<Vec<T>, Stop>
where
    T: Send + 'static,
    F: Future<Output = Result<T, ClientError>> + Send + 'static,
{
    let calls: Vec<_> =
        names.names.into_iter().map(|name| tokio::spawn(call(client.clone(), name))).collect();
    let mut done = Vec::new();
    for call in calls {
        match call.await.map_err(std::io::Error::other)? {
            Ok(value) => done.push(value),
            Err(error) => {
                session.fail(&error.into());
            }
        }
    }
    Ok(done)
}

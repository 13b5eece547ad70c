//! One call for each of several processes: all at once, shown in the order in which they were named.

use std::future::Future;

use rpc::v1::ProcessView;
use rpc::{Client, ClientError};

use crate::args::Names;
use crate::progress::{self, What};
use crate::report::{Failure, Session, Stop};
use crate::select::{Pick, needs_list, pick};

/// As [`each_until`], where nothing but the answer is waited for.
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
    each_until(session, client, names, "to answer", call).await
}

/// Calls, waits for the `outcome` of each ("to stop"), and hands back what worked; what did not is reported, and decides the exit code. All calls run at the same
/// time, so that stopping ten processes takes as long as the slowest of them.
pub(super) async fn each_until<T, F>(
    session: &mut Session<'_>,
    client: &Client,
    names: Names,
    outcome: &str,
    call: impl Fn(Client, String) -> F,
) -> Result<Vec<T>, Stop>
where
    T: Send + 'static,
    F: Future<Output = Result<T, ClientError>> + Send + 'static,
{
    let names = expand(client, names.names).await?;
    let expected: Vec<String> = names.iter().flatten().cloned().collect();
    let what = What { names: &expected, outcome, client: Some(client.clone()) };
    let calls: Vec<_> =
        names.into_iter().map(|name| name.map(|name| tokio::spawn(call(client.clone(), name)))).collect();
    let outcomes = async {
        let mut outcomes = Vec::new();
        for call in calls {
            outcomes.push(match call {
                Ok(call) => call.await.map_err(std::io::Error::other)?.map_err(Failure::from),
                Err(failure) => Err(failure),
            });
        }
        Ok::<_, std::io::Error>(outcomes)
    };
    let mut done = Vec::new();
    for outcome in progress::during(session, &what, outcomes).await?? {
        match outcome {
            Ok(value) => done.push(value),
            Err(failure) => {
                session.fail(&failure);
            }
        }
    }
    Ok(done)
}

/// The names behind the words. One name alone needs no list, and the daemon resolves it in the call itself.
async fn expand(client: &Client, words: Vec<String>) -> Result<Vec<Result<String, Failure>>, Stop> {
    if !needs_list(&words) {
        return Ok(words.into_iter().map(Ok).collect());
    }
    let processes = client.clone().list(ProcessView::Basic).await?;
    let name = |pick| match pick {
        Pick::Process(place) => processes[place].name.clone(),
        Pick::Unclear(word) => word,
    };
    Ok(pick(&processes, &words).into_iter().map(|picked| picked.map(name)).collect())
}

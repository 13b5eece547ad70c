//! Processes that are only looked at: where there are several, all as they were at one moment.

use rpc::Client;
use rpc::v1::{self, ProcessView};

use crate::args::Names;
use crate::report::{Session, Stop};
use crate::select::{Pick, needs_list, pick};

/// The named processes with their definitions. One name alone needs no list.
pub(super) async fn named(
    session: &mut Session<'_>,
    client: &mut Client,
    names: &Names,
) -> Result<Vec<v1::Process>, Stop> {
    if let [name] = names.names.as_slice()
        && !needs_list(&names.names)
    {
        return Ok(vec![client.get(name).await?]);
    }
    let (processes, places) = known(session, client, names).await?;
    Ok(places.into_iter().map(|place| processes[place].clone()).collect())
}

/// Every process with its definition, and the places of the named ones. What a name does not fit is reported, and
/// decides the exit code.
pub(super) async fn known(
    session: &mut Session<'_>,
    client: &mut Client,
    names: &Names,
) -> Result<(Vec<v1::Process>, Vec<usize>), Stop> {
    let mut processes = client.list(ProcessView::Full).await?;
    let mut places = Vec::new();
    for picked in pick(&processes, &names.names) {
        match picked {
            Ok(Pick::Process(place)) => places.push(place),
            Ok(Pick::Unclear(word)) => match client.get(&word).await {
                // Defined since the list was made.
                Ok(process) => {
                    places.push(processes.len());
                    processes.push(process);
                }
                Err(error) => {
                    session.fail(&error.into());
                }
            },
            Err(failure) => {
                session.fail(&failure);
            }
        }
    }
    Ok((processes, places))
}

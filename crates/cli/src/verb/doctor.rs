//! `doctor`: looks at this machine and this daemon, and says check by check what was found and what mends it.
//!
//! Here is what looks: at the daemon, files, /proc, ports, the journal's socket, systemd. Nothing of it takes longer than
//! [`LIMIT`], works only as root, or changes anything; the judging is in [`crate::doctor`].

mod files;
mod metrics;
mod proc;
mod unit;
mod written;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rpc::ClientError;
use rpc::v1::{self, DaemonStatus, ListenerState};

use crate::doctor::facts::{Answer, Disk, Fact, Journal, Metrics, Silence};
use crate::doctor::{Area, Facts, Verdict, examine, show};
use crate::find;
use crate::report::{Failure, Session, Stop};
use crate::units::span;
use crate::{DONE, FAILED, UNREACHABLE};
use files::Places;

/// Longest time for one look.
const LIMIT: Duration = Duration::from_secs(2);

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Stop> {
    let facts = gather(session).await?;
    let found = examine(&facts);
    if found.iter().any(|found| found.finding.verdict == Verdict::Problem) {
        // The daemon's silence is all that is known.
        let nothing_else = found
            .iter()
            .all(|found| found.check.area == Area::Daemon || found.finding.verdict == Verdict::NotChecked);
        session.code =
            if facts.daemon.is_err() && nothing_else && facts.here.is_err() { UNREACHABLE } else { FAILED };
    } else {
        session.code = DONE;
    }
    if session.json() {
        return session.write_json(&show::document(&found));
    }
    let text = show::text(&found, session.paint());
    session.show(&text)
}

/// Everything that the checks judge.
async fn gather(session: &mut Session<'_>) -> Result<Facts, Stop> {
    let context = session.context;
    let limit = session.global.timeout.map_or(LIMIT, |limit| limit.min(LIMIT));
    session.global.timeout = Some(limit);
    // Tells of contexts and tokens that don't exist: these are mistakes of the command line.
    let places = find::places(context, &session.global)?;
    let mut here = places
        .iter()
        .flat_map(|place| &place.targets)
        .any(find::is_local)
        .then_some(())
        .ok_or_else(|| "the daemon is on another machine; run doctor there".to_owned());

    let mut client = None;
    let answer = async {
        let mut found = session.connect().await?;
        let status = found.client.status().await.map_err(hung)?;
        client = Some(found.client);
        Ok::<_, Stop>(Answer { at: found.target.to_string(), status })
    };
    let daemon = match answer.await {
        Ok(answer) => Ok(answer),
        Err(Stop::Failure(failure)) => Err(silence(&failure)),
        Err(stop) => return Err(stop),
    };
    let status = daemon.as_ref().ok().map(|answer| answer.status.clone());
    let pid = status.as_ref().map(|status| status.pid);
    // A forwarded port, or the socket of a container: its pid is another process here, or none.
    let process = match (pid, &here) {
        (Some(pid), Ok(())) => {
            let root = context.proc.clone();
            match bounded(move || proc::look(&root, pid)).await {
                Ok(Ok(process)) => process,
                Ok(Err(proc::Miss::Hidden(why))) | Err(why) => proc::Process::unknown(&why),
                Ok(Err(proc::Miss::Foreign(why))) => {
                    here = Err(why.clone());
                    proc::Process::unknown(&why)
                }
            }
        }
        (None, Ok(())) => proc::Process::unknown("no daemon answers"),
        (_, Err(why)) => proc::Process::unknown(why),
    };

    let places = match &here {
        Ok(()) => Places::find(context, status.as_ref(), &process),
        Err(why) => Err(why.clone()),
    };
    let (written, processes, metrics, journal, unit, disks, installed) = tokio::join!(
        look_at_files(places.clone()),
        list(client),
        scrape(status.as_ref(), here.clone()),
        journal(here.clone(), process.journal.clone()),
        unit::show(process.cgroup.clone(), context.var("PATH").map(str::to_owned)),
        disks(&places),
        installed(here.clone(), context.var("PATH").map(str::to_owned)),
    );
    let (definitions, files) = written;
    Ok(Facts {
        clock: session.clock(),
        uid: context.uid,
        own_version: env!("CARGO_PKG_VERSION").to_owned(),
        here,
        daemon,
        processes,
        definitions,
        files,
        proc: process.facts,
        metrics,
        journal,
        unit,
        disks,
        installed,
    })
}

/// A daemon that took the call and says nothing.
fn hung(error: ClientError) -> Failure {
    match error {
        ClientError::TimedOut(limit) => Failure::new(
            UNREACHABLE,
            format!(
                "a daemon is there and does not answer within {}\nit hangs, is stopped (SIGSTOP), or the machine has no time for \
                 it; below systemd its watchdog ends it after 30 s",
                span(limit)
            ),
        )
        .with_hint("journalctl -u dd-procmgrd -n 50"),
        other => other.into(),
    }
}

fn silence(failure: &Failure) -> Silence {
    Silence { message: failure.message.clone(), hint: failure.hint().to_owned() }
}

/// Something that may hang (a network's file system, for one), on a thread of its own and no longer than that.
async fn bounded<T: Send + 'static>(look: impl FnOnce() -> T + Send + 'static) -> Fact<T> {
    match tokio::time::timeout(LIMIT, tokio::task::spawn_blocking(look)).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(late()),
    }
}

fn late() -> String {
    format!("it took longer than {} s", LIMIT.as_secs())
}

async fn look_at_files(
    places: Fact<Places>,
) -> (Fact<crate::doctor::facts::Definitions>, Fact<Vec<crate::doctor::facts::Seen>>) {
    let places = match places {
        Ok(places) => places,
        Err(why) => return (Err(why.clone()), Err(why)),
    };
    let layout = places.layout.clone();
    let written = bounded(move || written::read(&layout)).await;
    let beside: Vec<_> = written.as_ref().map(|written| written.beside.clone()).unwrap_or_default();
    let files = bounded(move || files::look(&places, &beside)).await;
    (written.map(|written| written.definitions), files)
}

async fn list(client: Option<rpc::Client>) -> Fact<Vec<v1::Process>> {
    let Some(mut client) = client else { return Err("no daemon answers".to_owned()) };
    match tokio::time::timeout(LIMIT, client.list(v1::ProcessView::Full)).await {
        Ok(Ok(processes)) => Ok(processes),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(late()),
    }
}

async fn scrape(status: Option<&DaemonStatus>, here: Fact<()>) -> Metrics {
    let Some(status) = status else { return Metrics::Unknown("no daemon answers".to_owned()) };
    let Some(listener) = status.listeners.iter().find(|listener| listener.role == "metrics") else {
        return Metrics::Unknown("the daemon does not say where they are".to_owned());
    };
    match (listener.state(), here) {
        (ListenerState::Disabled, _) => Metrics::Off,
        (ListenerState::Failed, _) => Metrics::Closed,
        (_, Err(why)) => Metrics::Unknown(why),
        (_, Ok(())) => match listener.address.parse() {
            Ok(address) => tokio::time::timeout(LIMIT, metrics::ask(address))
                .await
                .unwrap_or_else(|_| Metrics::Silent(late())),
            Err(_) => Metrics::Unknown(format!("{} is no address", listener.address)),
        },
    }
}

async fn journal(here: Fact<()>, chosen: Option<String>) -> Journal {
    if let Err(why) = here {
        return Journal::Unknown(why);
    }
    if chosen.as_deref().is_some_and(|word| word == "off" || word == "none") {
        return Journal::Off;
    }
    let path = PathBuf::from(chosen.unwrap_or_else(|| "/run/systemd/journal/socket".to_owned()));
    let look = bounded(move || {
        let tried = UnixDatagram::unbound().and_then(|socket| socket.connect(&path));
        match tried {
            Ok(()) => Journal::Takes(path),
            Err(error) if error.kind() == ErrorKind::NotFound => Journal::Missing(path),
            Err(error) => Journal::Refuses(path, error.to_string()),
        }
    });
    look.await.unwrap_or_else(Journal::Unknown)
}

async fn disks(places: &Fact<Places>) -> Vec<(&'static str, PathBuf, Fact<Disk>)> {
    let Ok(places) = places else { return Vec::new() };
    let mut disks = Vec::new();
    for (what, path) in [("log files", &places.layout.log_dir), ("state", &places.state_dir)] {
        let at = path.clone();
        let look = bounded(move || disk(&at)).await;
        disks.push((what, path.clone(), look.and_then(|disk| disk)));
    }
    disks
}

fn disk(path: &Path) -> Fact<Disk> {
    let stat = rustix::fs::statvfs(path).map_err(|error| std::io::Error::from(error).to_string())?;
    Ok(Disk {
        bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        bytes_free: stat.f_bavail.saturating_mul(stat.f_frsize),
        inodes: stat.f_files,
        inodes_free: stat.f_favail,
    })
}

/// The programs of each name in PATH; links and hard links to the same file count once.
async fn installed(here: Fact<()>, path: Option<String>) -> BTreeMap<&'static str, Vec<PathBuf>> {
    let (Ok(()), Some(path)) = (here, path) else { return BTreeMap::new() };
    let look = bounded(move || {
        let mut all = BTreeMap::new();
        for name in ["dd-procmgrd", "pm-cli"] {
            let mut seen = Vec::new();
            let mut paths = Vec::new();
            for dir in path.split(':').filter(|dir| !dir.is_empty()) {
                let path = Path::new(dir).join(name);
                let Ok(meta) = path.metadata() else { continue };
                let file = (meta.dev(), meta.ino());
                if meta.is_file() && meta.mode() & 0o111 != 0 && !seen.contains(&file) {
                    seen.push(file);
                    paths.push(path);
                }
            }
            all.insert(name, paths);
        }
        all
    });
    look.await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_look_that_hangs_is_left() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let began = Instant::now();
        let (release, hangs) = std::sync::mpsc::channel::<()>();
        let look = runtime.block_on(bounded(move || hangs.recv()));
        assert!(look.unwrap_err().contains("longer than 2 s"));
        assert!(began.elapsed() < LIMIT * 5);
        drop(release);
        assert_eq!(runtime.block_on(bounded(|| 7)), Ok(7));
    }
}

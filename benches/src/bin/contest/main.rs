//! Supervisors side by side: everybody gets the same children, which announce their own exec, and nothing about a start or a
//! restart is guessed. `cargo xtask bench` runs this program and makes tables of what it writes.
//!
//! ```text
//! contest --out FILE --base DIR --announce PROGRAM [--part NAME]... [--rounds N] [--only-peers A,B] [--peers DIR]
//!         [--systemd PID] [--build NAME=DIR]... [--quick]
//! ```
//! Raw values go to FILE, a line of JSON each; standard output tells how far it is.

mod contestants;
mod crowd;
mod floor;
mod growth;
mod plan;
mod processes;
mod record;
mod rounds;
mod stage;
mod starts;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};

use contestants::{Field, PEERS, Who};
use record::Record;
use rounds::Options;

fn main() -> Result<()> {
    let mut options = Options::default();
    let mut field = Field { peers: PathBuf::from("target/peers"), systemd: None, builds: BTreeMap::new() };
    let (mut parts, mut peers, mut out) = (Vec::new(), None, None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} takes a value"));
        match word.as_str() {
            "--out" => out = Some(PathBuf::from(value()?)),
            "--base" => options.base = PathBuf::from(value()?),
            "--announce" => options.announce = PathBuf::from(value()?),
            "--part" => parts.push(value()?),
            "--rounds" => options.rounds = value()?.parse().context("--rounds takes a number")?,
            "--only-peers" => peers = Some(value()?),
            "--peers" => field.peers = PathBuf::from(value()?),
            "--systemd" => field.systemd = Some(value()?.parse().context("--systemd takes a pid")?),
            "--build" => {
                let text = value()?;
                let (name, dir) = text.split_once('=').context("--build takes NAME=DIR")?;
                field.builds.insert(name.to_owned(), PathBuf::from(dir));
            }
            "--quick" => options.quick = true,
            unknown => bail!("no option is called {unknown}"),
        }
    }
    ensure!(!field.builds.is_empty(), "no --build NAME=DIR");
    let mut record = Record::create(&out.context("no --out FILE")?)?;
    record.machine(&benches::machine::describe())?;
    let all = who(&field, peers.as_deref(), &mut record)?;
    for part in &parts {
        match part.as_str() {
            "starts" => starts::measure(&options, &field, &all, &mut record)?,
            "crowd" => crowd::measure(&options, &field, &all, &mut record)?,
            "growth" => growth::measure(&options, &field, &mut record)?,
            unknown => bail!("no part is called {unknown}; there are starts, crowd and growth"),
        }
    }
    Ok(())
}

/// The floor, all builds, and the peers that are wanted and there.
fn who(field: &Field, wanted: Option<&str>, record: &mut Record) -> Result<Vec<Who>> {
    let mut all = vec![Who::Floor];
    all.extend(field.builds.keys().cloned().map(Who::Ours));
    let wanted: Option<Vec<&str>> =
        wanted.map(|text| text.split(',').filter(|name| !name.is_empty()).collect());
    for name in wanted.iter().flatten() {
        let known = PEERS.iter().map(|peer| peer.name).collect::<Vec<_>>().join(", ");
        ensure!(
            *name == "none" || known.split(", ").any(|k| k == *name),
            "no peer is called {name}; there are {known}"
        );
    }
    for peer in &PEERS {
        if wanted.as_ref().is_some_and(|names| !names.contains(&peer.name)) {
            continue;
        }
        match field.version(peer) {
            Ok(version) => {
                record.version(peer.name, &version)?;
                all.push(Who::Peer(peer));
            }
            Err(why) => record.left_out("all", peer.name, &why)?,
        }
    }
    Ok(all)
}

//! Small fixed workloads of the pure parts, for `cargo xtask instructions`, which counts what they execute under valgrind.
//!
//! `instructions NAME`: what is made ready before is not counted; the counting begins and ends with [`counted_workload`].
#![expect(clippy::print_stdout, reason = "a command for developers; this is its output")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use benches::{fixed, table};
use logpipe::frame::{Framer, Piece, lines};
use model::{ExitStatus, Usage};
use supervisor::machine::Input;

/// Crashes and restarts, in a table of a thousand.
const CRASHES: u64 = 10_000;
/// Definitions that are read, and processes that are shown.
const MANY: u32 = 1_000;
/// Bytes that are cut into lines, 64 chunks of 256 KiB.
const CHUNK: usize = 256 << 10;
const CHUNKS: usize = 64;

fn main() -> Result<()> {
    let name = std::env::args().nth(1).context("usage: instructions NAME")?;
    let mut work: Box<dyn FnMut()> = match name.as_str() {
        "machine" => machine(),
        "framing" => framing(),
        "config" => config()?,
        "exposition" => exposition(),
        "list" => {
            println!("machine framing config exposition");
            return Ok(());
        }
        unknown => bail!("no workload is called {unknown}; `instructions list` tells them"),
    };
    counted_workload(work.as_mut());
    Ok(())
}

/// valgrind knows it by its name.
#[inline(never)]
fn counted_workload(work: &mut dyn FnMut()) {
    work();
    // Without it the call above would be a jump, and this function would not be there when it returns.
    black_box(());
}

fn machine() -> Box<dyn FnMut()> {
    let (mut machine, mut runs) = table::running(MANY);
    let mut out = Vec::new();
    Box::new(move || {
        let count = runs.len();
        for (time, index) in (1..=CRASHES).zip((0..count).cycle()) {
            let now = table::now(time * 1_000_000);
            let run = runs[index];
            out.clear();
            let (status, usage) = (ExitStatus::Code(1), Usage::default());
            machine.step(now, Input::Exited { run, status, usage, leftovers: Vec::new() }, &mut out);
            let new = out.iter().find_map(table::spawned).unwrap_or(run);
            machine.step(now, Input::Spawned { run: new, pid: 2 }, &mut out);
            black_box(machine.take_changes());
            runs[index] = new;
        }
    })
}

fn framing() -> Box<dyn FnMut()> {
    let line = [vec![b'x'; 99], vec![b'\n']].concat();
    let chunk: Vec<u8> = line.iter().copied().cycle().take(CHUNK).collect();
    Box::new(move || {
        let mut framer = Framer::default();
        for _ in 0..CHUNKS {
            framer.feed(&chunk, CHUNK, |piece| {
                if let Piece::Whole { bytes, .. } = piece {
                    black_box(lines(bytes).count());
                }
            });
        }
    })
}

fn config() -> Result<Box<dyn FnMut()>> {
    let mut text = "processes:\n".to_owned();
    for n in 0..MANY {
        writeln!(
            text,
            "  p{n}:\n    command: /usr/bin/worker --number {n}\n    restart: always\n    restart_sec: 500ms\n    env: {{A: b, C: d}}\n    \
             groups: [web]"
        )?;
    }
    Ok(Box::new(move || {
        let loaded =
            config::check_text(Path::new("/c/processes.yaml"), text.clone().into_bytes(), Path::new("/l"));
        assert!(
            loaded.is_ok_and(|loaded| loaded.desired.specs.len() == MANY as usize),
            "the definitions are good"
        );
    }))
}

fn exposition() -> Box<dyn FnMut()> {
    let exporter = fixed::exporter(MANY);
    Box::new(move || {
        black_box(exporter.render());
    })
}

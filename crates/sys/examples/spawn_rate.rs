//! Spawns and waits for /bin/true many times: this crate beside posix_spawn(3) as std uses it.
//!
//! `cargo run --release -p sys --example spawn_rate [rounds] [descriptors to hold open meanwhile]`

#![expect(clippy::print_stdout, reason = "a program whose purpose is to print a measurement")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sys::pidfd;
use sys::spawn::{Isolation, Program, Request, Spawner, Stdio};

/// Short, so that one of them is undisturbed on a machine that has other things to do.
const TURNS: u32 = 50;

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let (rounds, held): (u32, usize) =
        (args.next().and_then(|n: usize| n.try_into().ok()).unwrap_or(1000), args.next().unwrap_or(0));
    let mut spawner = Spawner::new()?;
    let null = File::open("/dev/null")?;
    let _held: Vec<File> = (0..held).map(|_| null.try_clone()).collect::<io::Result<_>>()?;
    let mut ours = || one(&mut spawner, &null);
    let mut std = || process::Command::new("/bin/true").status().map(drop);
    // In turns, so that both see the same machine.
    let (mut best_ours, mut best_std) = (Duration::MAX, Duration::MAX);
    for _ in 0..TURNS {
        best_ours = best_ours.min(time(rounds / TURNS, &mut ours)?);
        best_std = best_std.min(time(rounds / TURNS, &mut std)?);
    }
    println!("{rounds} rounds in {TURNS} turns, best turn, {held} descriptors held");
    println!("sys::spawn   {best_ours:>8.1?} per spawn and wait");
    println!("posix_spawn  {best_std:>8.1?} per spawn and wait");
    Ok(())
}

fn time(rounds: u32, one: &mut dyn FnMut() -> io::Result<()>) -> io::Result<Duration> {
    let start = Instant::now();
    for _ in 0..rounds {
        one()?;
    }
    Ok(start.elapsed() / rounds.max(1))
}

fn one(spawner: &mut Spawner, null: &File) -> io::Result<()> {
    let program = Program { path: c"/bin/true".into(), argv: vec![c"true".into()], env: Vec::new() };
    let fd = || null.try_clone().map(OwnedFd::from);
    let request = Request {
        program: &program,
        stdio: Stdio { stdin: fd()?, stdout: fd()?, stderr: fd()? },
        working_dir: None,
        credentials: None,
        umask: 0o022,
        cgroup: None,
        isolation: Isolation::NONE,
    };
    let child = spawner.spawn(request).map_err(io::Error::other)?;
    poll(&mut [PollFd::new(child.pidfd.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)?;
    pidfd::reap(child.pidfd.as_fd())?;
    Ok(())
}

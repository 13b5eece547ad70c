//! Whether something that takes long delays anybody else: calls over the Unix socket while a process that ignores
//! SIGTERM is being stopped, and while a thousand health checks hang, beside the same calls to the same daemon before.
//!
//! The bound: no call takes more than 10 ms longer than the slowest one before.

mod calls;
mod silent;

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::{eventually, eventually_within};

use crate::Options;
use crate::daemon;
use crate::home::{Containment, Home};
use crate::table::{Table, text};
use calls::{Caller, Calls, KINDS};
use silent::Silent;

/// Processes beside the one that is started and stopped, in the first measurement.
const OTHERS: usize = 100;
/// Health checks that hang.
const CHECKS: usize = 1000;
/// Checks of the network that hang at a time, at least, before the measurement begins. The daemon keeps some lanes free
/// for targets that do answer (crates/health), so that not all of the thousand are under way.
const HANGING: usize = 800;
/// What a call may take longer than the slowest one of an idle daemon.
const BOUND: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(120);

const SLEEPER: &str = "command: sleep 100000";
const QUICK: &str = "  quick: {command: sleep 100000, auto_start: false}\n";

pub(crate) fn measure(table: &mut Table, options: &Options) -> Result<()> {
    type Part = (&'static str, fn(&mut Table) -> Result<Duration>);
    let parts: [Part; 3] = [
        ("latency, a process that ignores SIGTERM is being stopped, stop_timeout 90s", stop),
        ("latency, 1,000 HTTP health checks hang", network_checks),
        ("latency, 1,000 exec health checks hang", exec_checks),
    ];
    let mut late = Vec::new();
    for (title, part) in parts {
        if !options.leaves_out(title) {
            table.title(title);
            let more = part(table)?;
            let verdict = if more <= BOUND { "held" } else { "MISSED" };
            table.line(&format!("\nSlowest call: {} more. Bound of {BOUND:?} more: {verdict}", text(more)));
            if more > BOUND {
                late.push(title);
            }
        }
    }
    ensure!(late.is_empty(), "calls were delayed by more than {BOUND:?}: {}", late.join("; "));
    Ok(())
}

fn stop(table: &mut Table) -> Result<Duration> {
    let home = Home::start(Containment::Subreaper, "warn")?;
    let stubborn = "  stubborn: {command: /bin/sh, args: [-c, \"trap '' TERM; exec sleep 100000\"], stop_timeout: 90s}\n";
    let definition = format!("{{{SLEEPER}}}");
    load(&home, &(daemon::config(OTHERS, &definition) + QUICK + stubborn), OTHERS + 1);
    let mut caller = Caller::connect(&home)?;
    let idle = caller.calls()?;
    let stopping = caller.stop_in_the_background("stubborn");
    eventually("the process to be stopping", || {
        home.process("stubborn").filter(|p| p["state"] == "stopping")
    });
    let busy = caller.calls()?;
    let state = home.process("stubborn").map(|p| p["state"].clone());
    ensure!(state.is_some_and(|s| s == "stopping"), "the stop was over before the calls were");
    // It would hold up the end of the daemon for the rest of its 90 s.
    home.pm(&["kill", "stubborn", "--signal", "KILL"]).success();
    caller.join(stopping)?;
    show(table, idle, busy)
}

fn network_checks(table: &mut Table) -> Result<Duration> {
    let home = Home::start(Containment::Subreaper, "error")?;
    load(&home, &(daemon::config(CHECKS, &format!("{{{SLEEPER}}}")) + QUICK), CHECKS);
    let mut caller = Caller::connect(&home)?;
    let idle = caller.calls()?;
    let silent = Silent::listen()?;
    let check = format!(
        "{{{SLEEPER}, health_check: {{type: http, url: \"http://{}/\", interval: 1, timeout: 5, start_period: 0}}}}",
        silent.address
    );
    load(&home, &(daemon::config(CHECKS, &check) + QUICK), CHECKS);
    let hanging = || (silent.open() >= HANGING).then_some(());
    ensure!(eventually_within(PATIENCE, hanging).is_some(), "only {} checks hang", silent.open());
    let busy = caller.calls()?;
    table.line(&format!(
        "{} connections of checks were open at the end, {} in all\n",
        silent.open(),
        silent.taken()
    ));
    show(table, idle, busy)
}

fn exec_checks(table: &mut Table) -> Result<Duration> {
    let home = Home::start(Containment::Subreaper, "error")?;
    load(&home, &(daemon::config(CHECKS, &format!("{{{SLEEPER}}}")) + QUICK), CHECKS);
    let mut caller = Caller::connect(&home)?;
    let idle = caller.calls()?;
    let check = format!(
        "{{{SLEEPER}, health_check: {{type: exec, command: sleep 100000, interval: 1, timeout: 300, start_period: 0}}}}"
    );
    load(&home, &(daemon::config(CHECKS, &check) + QUICK), 2 * CHECKS);
    let busy = caller.calls()?;
    let children = daemon::children(home.pid()).len();
    ensure!(children >= 2 * CHECKS, "only {children} processes are there");
    show(table, idle, busy)
}

/// Applies a configuration, and waits until there are this many children and the machine has calmed down.
fn load(home: &Home, config: &str, children: usize) {
    home.write_config(config);
    home.pm(&["reload-config"]).success();
    let there = || (daemon::children(home.pid()).len() >= children).then_some(());
    assert!(eventually_within(PATIENCE, there).is_some(), "not all processes came up");
    // What the start needs is freed and written by then.
    thread::sleep(Duration::from_secs(2));
}

/// Returns by how much the slowest call of a kind took longer than the slowest one before, at most.
fn show(table: &mut Table, mut idle: Calls, mut busy: Calls) -> Result<Duration> {
    table.head(&["call", "n", "idle p50", "p99", "max", "meanwhile p50", "p99", "max", "max, more"]);
    let mut most = Duration::ZERO;
    for kind in KINDS {
        let (before, meanwhile) = (idle.summary(kind)?, busy.summary(kind)?);
        let more = meanwhile.max.saturating_sub(before.max);
        most = most.max(more);
        let numbers =
            [before.p50, before.p99, before.max, meanwhile.p50, meanwhile.p99, meanwhile.max, more].map(text);
        let first = [kind.to_string(), meanwhile.count.to_string()];
        table.row(&first.into_iter().chain(numbers).collect::<Vec<_>>());
    }
    Ok(most)
}

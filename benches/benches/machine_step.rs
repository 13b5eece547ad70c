//! What one step of the pure machine costs: a crash and its restart, in tables of different sizes.

use std::hint::black_box;
use std::sync::Arc;

use benches::table::{now, running, spawned};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use model::{Command, Desired, ExitStatus, Usage};
use supervisor::machine::{Input, Ticket};

fn crash_and_restart(c: &mut Criterion) {
    let mut group = c.benchmark_group("machine: crash, restart, publish");
    for count in [10, 1_000, 10_000] {
        let (mut machine, runs) = running(count);
        let (mut run, mut out, mut time) = (runs[0], Vec::new(), 0);
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter(|| {
                time += 1_000_000;
                out.clear();
                let status = ExitStatus::Code(1);
                let input = Input::Exited { run, status, usage: Usage::default(), leftovers: Vec::new() };
                machine.step(now(time), input, &mut out);
                run = out.iter().find_map(spawned).unwrap_or(run);
                machine.step(now(time), Input::Spawned { run, pid: 2 }, &mut out);
                black_box(machine.take_changes());
            });
        });
    }
    group.finish();
}

fn reload_without_change(c: &mut Criterion) {
    let (mut machine, _) = running(1_000);
    let mut out = Vec::new();
    c.bench_function("machine: reload of 1,000 unchanged definitions", |b| {
        b.iter(|| {
            let specs = (0..1_000).map(|n| Arc::new(benches::spec(n))).collect();
            let command = Command::Apply(Desired { specs, invalid: Vec::new() });
            out.clear();
            machine.step(now(1), Input::Command { ticket: Ticket(1), command }, &mut out);
            black_box(machine.take_changes());
        });
    });
}

criterion_group!(all, crash_and_restart, reload_without_change);
criterion_main!(all);

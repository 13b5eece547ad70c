//! What one scrape costs for 1,000 and 10,000 processes, without the reading of /proc (nothing in the table runs). With it,
//! and with real processes: `cargo run --release -p metrics --example render 1000`.

use std::hint::black_box;

use benches::fixed;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn exposition(c: &mut Criterion) {
    let mut group = c.benchmark_group("exposition");
    group.sample_size(20);
    for count in [1_000, 10_000] {
        let exporter = fixed::exporter(count);
        group.bench_function(BenchmarkId::from_parameter(count), |b| b.iter(|| black_box(exporter.render())));
    }
    group.finish();
}

criterion_group!(all, exposition);
criterion_main!(all);

//! What the line splitter costs for a chunk of 256 KiB: whole runs (the file alone) and single lines (journald, too).

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use logpipe::frame::{Framer, Piece, lines};

const CHUNK: usize = 256 << 10;
const MAX_LINE: usize = 256 << 10;

fn framing(c: &mut Criterion) {
    let mut group = c.benchmark_group("framing");
    group.throughput(Throughput::Bytes(CHUNK as u64));
    for width in [20, 100, 1_000] {
        let line = [vec![b'x'; width - 1], vec![b'\n']].concat();
        let chunk: Vec<u8> = line.iter().copied().cycle().take(CHUNK).collect();
        group.bench_function(BenchmarkId::new("runs, line width", width), |b| {
            b.iter(|| {
                let mut count = 0;
                Framer::default().feed(&chunk, MAX_LINE, |piece| {
                    if let Piece::Whole { lines, .. } = piece {
                        count += lines;
                    }
                });
                black_box(count)
            });
        });
        group.bench_function(BenchmarkId::new("single lines, line width", width), |b| {
            b.iter(|| {
                let mut total = 0;
                Framer::default().feed(&chunk, MAX_LINE, |piece| {
                    if let Piece::Whole { bytes, .. } = piece {
                        total += lines(bytes).map(|line| black_box(line).len()).sum::<usize>();
                    }
                });
                black_box(total)
            });
        });
    }
    group.finish();
}

criterion_group!(all, framing);
criterion_main!(all);

//! Dev only: measurements. The programs are in `src/bin`, criterion benches in `benches`.

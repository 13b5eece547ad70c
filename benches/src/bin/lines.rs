//! The fastest simple writer, so that whoever measures a reader of its lines measures the reader: lines of 100 bytes
//! from memory, 64 KiB in one write(2).
//!
//! `lines COUNT [PER_SECOND [FILE]]`: PER_SECOND 0 is as fast as they are taken; FILE gets the time of the start, in
//! nanoseconds since 1970.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const LINE: usize = 100;
/// Lines of one write.
const BLOCK: u64 = 655;
/// What a paced writer waits at least.
const PACE: Duration = Duration::from_millis(10);

fn main() -> io::Result<()> {
    let mut words = std::env::args().skip(1);
    let mut number = || words.next().map_or(Ok(0), |word| word.parse::<u64>()).map_err(io::Error::other);
    let (count, per_second) = (number()?, number()?);
    if let Some(stamp) = words.next() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        std::fs::write(stamp, now.as_nanos().to_string())?;
    }
    let mut line = [b'x'; LINE];
    line[LINE - 1] = b'\n';
    let block = line.repeat(usize::try_from(BLOCK).map_err(io::Error::other)?);
    // Past the buffer of the standard library.
    let mut stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let begin = Instant::now();
    let mut printed = 0;
    while printed < count {
        let due = match per_second {
            0 => count,
            rate => {
                let wait = PACE.max(Duration::from_secs(1) / u32::try_from(rate).unwrap_or(u32::MAX));
                thread::sleep(wait);
                let due = begin.elapsed().as_secs_f64() * rate as f64;
                count.min(Duration::from_secs_f64(due).as_secs())
            }
        };
        while printed < due {
            let now = BLOCK.min(due - printed);
            stdout.write_all(&block[..usize::try_from(now).map_err(io::Error::other)? * LINE])?;
            printed += now;
        }
    }
    Ok(())
}

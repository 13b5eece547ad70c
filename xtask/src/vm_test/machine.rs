//! A virtual machine: qemu, its serial console, and what is said there.
#![expect(clippy::print_stdout, reason = "a command for developers; this is its output")]

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::image::Image;

/// On a busy machine the emulated timer may be too late for the kernel's check of it; a panic shall end the machine.
const KERNEL: &str = "root=/dev/vda rw console=ttyS0 quiet systemd.show_status=0 no_timer_check panic=-1";
/// Lines that are shown when the machine ends too early.
const KEPT: usize = 40;
/// What the guest's script puts before each line that is for us; a boot prints many others.
const MARK: &str = "@@ ";

/// A line of the serial console.
pub(super) enum Said {
    Passed(String),
    Failed(String),
    Noted(String),
    Done,
    Other(String),
    /// The machine is off.
    Ended,
}

/// A running machine; dropping it switches it off.
pub(super) struct Machine {
    qemu: Child,
    lines: Receiver<String>,
    last: VecDeque<String>,
    begin: Instant,
}

impl Machine {
    /// The image is not changed: what the machine writes is thrown away.
    pub(super) fn boot(image: &Image, payload: &Path) -> Result<Self> {
        let drive = |path: &Path, more: &str| format!("file={},if=virtio,format=raw{more}", path.display());
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024", "-nographic"]);
        command.args(["-no-reboot", "-nic", "none"]);
        command.arg("-kernel").arg(&image.kernel).arg("-initrd").arg(&image.initrd);
        command.args(["-append", KERNEL]);
        command.arg("-drive").arg(drive(&image.disk, ",snapshot=on"));
        command.arg("-drive").arg(drive(payload, ",readonly=on"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut qemu = command.spawn().context(
            "qemu can't be run: apt-get install --no-install-recommends qemu-system-x86 seabios mmdebstrap",
        )?;
        let console = qemu.stdout.take().context("qemu has no standard output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                if sender.send(text).is_err() {
                    break;
                }
            }
        });
        Ok(Self { qemu, lines, last: VecDeque::new(), begin: Instant::now() })
    }

    /// The next line, within `limit` of the boot.
    pub(super) fn next(&mut self, limit: Duration) -> Result<Said> {
        let line = match self.lines.recv_timeout(limit.saturating_sub(self.age())) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => return Ok(Said::Ended),
            Err(RecvTimeoutError::Timeout) => {
                bail!("the machine did not come to an end within {limit:?}:\n{}", self.last_lines())
            }
        };
        self.last.push_back(line.clone());
        if self.last.len() > KEPT {
            self.last.pop_front();
        }
        // The console's first line may follow a control sequence of the firmware.
        let Some((_, marked)) = line.split_once(MARK) else { return Ok(Said::Other(line)) };
        let text = marked.to_owned();
        Ok(match text.split(' ').next() {
            Some("ok") => Said::Passed(text),
            Some("FAIL") => Said::Failed(text),
            Some("done") => Said::Done,
            _ => Said::Noted(text),
        })
    }

    pub(super) fn age(&self) -> Duration {
        self.begin.elapsed()
    }

    pub(super) fn last_lines(&self) -> String {
        self.last.iter().cloned().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        self.qemu.kill().ok();
        self.qemu.wait().ok();
    }
}

pub(super) fn print(line: &str) {
    println!("{line}");
}

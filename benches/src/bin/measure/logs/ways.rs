//! Ways from pipes to files, and how a round over one of them is measured: from the moment at which the first writer
//! starts to the moment at which the last byte is in the files.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use testkit::{TempDaemon, binary};

use super::LINE;

/// A file is rotated when it has this size, where something rotates.
const FILE: u64 = 128 << 20;
/// A round that makes no progress for so long is broken.
const STUCK: Duration = Duration::from_secs(60);

/// What a round is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub(super) children: u64,
    /// Of each child.
    pub(super) lines: u64,
}

/// One way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) name: &'static str,
    /// What has to be installed for it.
    pub(super) needs: Option<&'static str>,
    start: fn(&Stage, Round) -> Result<Running>,
}

/// The daemon first: it is what the others are compared with.
pub(super) const WAYS: [Way; 5] = [
    Way { name: "dd-procmgrd, rotation", needs: None, start: daemon },
    Way { name: "`cat >file`, no rotation", needs: Some("cat"), start: cat },
    Way { name: "s6-log, rotation", needs: Some("s6-log"), start: s6_log },
    Way { name: "svlogd, rotation", needs: Some("svlogd"), start: svlogd },
    Way { name: "supervisord, rotation", needs: Some("supervisord"), start: supervisord },
];

impl Way {
    pub(super) fn is_there(&self) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        self.needs.is_none_or(|name| std::env::split_paths(&path).any(|dir| dir.join(name).is_file()))
    }

    /// Seconds of one round.
    pub(super) fn measure(&self, round: Round) -> Result<f64> {
        let stage = Stage::new()?;
        let running = (self.start)(&stage, round).with_context(|| format!("starting {}", self.name))?;
        let logs = running.logs(&stage);
        let bytes = round.children * round.lines * LINE;
        let end = until_written(&logs, bytes)?;
        let seconds = end.saturating_sub(stage.begin(round)?).as_secs_f64();
        let daemon = running.finish()?;
        let lines = count_lines(&logs)?;
        ensure!(
            lines == round.children * round.lines,
            "{}: {lines} lines in the files, not {} times {}",
            self.name,
            round.children,
            round.lines
        );
        // Its files are gone with it.
        drop(daemon);
        Ok(seconds)
    }
}

/// Seconds of one round in which what is written is thrown away: as fast as writers get through a pipe of the usual
/// size, whatever becomes of their lines.
pub(super) fn thrown_away(round: Round) -> Result<f64> {
    let stage = Stage::new()?;
    let nowhere = stage.piped(round, |_| {
        let mut command = Command::new("cat");
        command.stdout(Stdio::null());
        Ok(command)
    })?;
    nowhere.finish()?;
    let end = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(end.saturating_sub(stage.begin(round)?).as_secs_f64())
}

/// Directories of one round.
struct Stage {
    dir: TempDir,
}

impl Stage {
    fn new() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("pm-measure-").tempdir()?;
        fs::create_dir(dir.path().join("logs"))?;
        Ok(Self { dir })
    }

    fn logs(&self) -> PathBuf {
        self.dir.path().join("logs")
    }

    fn stamp(&self, child: u64) -> PathBuf {
        self.dir.path().join(format!("stamp-{child}"))
    }

    /// When the first writer started.
    fn begin(&self, round: Round) -> Result<Duration> {
        let mut first = Duration::MAX;
        for child in 0..round.children {
            let nanos = fs::read_to_string(self.stamp(child))?.parse()?;
            first = first.min(Duration::from_nanos(nanos));
        }
        Ok(first)
    }

    /// The command line of a writer.
    fn writer(&self, child: u64, lines: u64) -> Result<Vec<String>> {
        let program = binary("lines")?.display().to_string();
        Ok(vec![program, lines.to_string(), "0".to_owned(), self.stamp(child).display().to_string()])
    }

    /// Writers with a reader each.
    fn piped(&self, round: Round, reader: impl Fn(&Path) -> Result<Command>) -> Result<Running> {
        let mut children = Vec::new();
        for child in 0..round.children {
            let dir = self.logs().join(child.to_string());
            fs::create_dir(&dir)?;
            let words = self.writer(child, round.lines)?;
            let mut writer = Command::new(&words[0]).args(&words[1..]).stdout(Stdio::piped()).spawn()?;
            let pipe = writer.stdout.take().context("it was piped")?;
            children.push(writer);
            children.push(reader(&dir)?.stdin(pipe).spawn()?);
        }
        Ok(Running::Piped(children))
    }
}

/// What has to be waited for, or ended, at the end of a round.
enum Running {
    /// Writers and their readers, who end by themselves.
    Piped(Vec<Child>),
    Daemon(Box<TempDaemon>),
    /// One that ends on SIGTERM.
    Supervisor(Child),
}

impl Running {
    fn logs(&self, stage: &Stage) -> PathBuf {
        match self {
            Self::Daemon(daemon) => daemon.logs(),
            Self::Piped(_) | Self::Supervisor(_) => stage.logs(),
        }
    }

    /// Waits for whatever ends by itself, or ends it, but for the daemon.
    fn finish(self) -> Result<Option<Box<TempDaemon>>> {
        match self {
            Self::Piped(children) => {
                for mut child in children {
                    let status = child.wait()?;
                    ensure!(status.success(), "a writer or a reader: {status}");
                }
                Ok(None)
            }
            Self::Supervisor(mut child) => {
                let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
                nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
                child.wait()?;
                Ok(None)
            }
            Self::Daemon(daemon) => Ok(Some(daemon)),
        }
    }
}

fn cat(stage: &Stage, round: Round) -> Result<Running> {
    stage.piped(round, |dir| {
        let mut command = Command::new("cat");
        command.stdout(File::create(dir.join("lines"))?);
        Ok(command)
    })
}

fn s6_log(stage: &Stage, round: Round) -> Result<Running> {
    stage.piped(round, |dir| {
        let mut command = Command::new("s6-log");
        command.args(["n1000", &format!("s{FILE}")]).arg(dir);
        Ok(command)
    })
}

fn svlogd(stage: &Stage, round: Round) -> Result<Running> {
    stage.piped(round, |dir| {
        fs::write(dir.join("config"), format!("s{FILE}\nn1000\n"))?;
        let mut command = Command::new("svlogd");
        // With its own buffer of 1 KiB it makes a system call for every ten lines.
        command.args(["-b", "65536"]).arg(dir).stderr(Stdio::null());
        Ok(command)
    })
}

fn supervisord(stage: &Stage, round: Round) -> Result<Running> {
    let dir = stage.dir.path().display();
    let mut config = format!(
        "[supervisord]\nnodaemon=true\nlogfile={dir}/supervisord.log\npidfile={dir}/pid\nchildlogdir={dir}\nuser=root\n"
    );
    for child in 0..round.children {
        let (command, logs) = (stage.writer(child, round.lines)?.join(" "), stage.logs());
        config += &format!(
            "[program:p{child}]\ncommand={command}\nautorestart=false\nstartsecs=0\n\
             stdout_logfile={}/p{child}.log\nstdout_logfile_maxbytes={FILE}\nstdout_logfile_backups=1000\n",
            logs.display()
        );
    }
    let path = stage.dir.path().join("supervisord.conf");
    fs::write(&path, config)?;
    let mut command = Command::new("supervisord");
    command.arg("-c").arg(path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(Running::Supervisor(command.spawn()?))
}

fn daemon(stage: &Stage, round: Round) -> Result<Running> {
    let mut config = String::from("processes:\n");
    for child in 0..round.children {
        let words = stage.writer(child, round.lines)?;
        config += &format!(
            "  p{child}: {{command: {}, args: ['{}'], restart: never, \
             log: {{max_size: {FILE}, max_files: 1000}}}}\n",
            words[0],
            words[1..].join("', '")
        );
    }
    let daemon = TempDaemon::builder().env("RUST_LOG", "warn").env("PM_JOURNAL_SOCKET", "off");
    Ok(Running::Daemon(Box::new(daemon.config(&config).start())))
}

/// Waits until so many bytes are in the files; when the last of them came, since 1970. The files tell, so that it does
/// not matter when somebody looks.
fn until_written(logs: &Path, bytes: u64) -> Result<Duration> {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let files = files(logs)?;
        let written: u64 = files.iter().map(|file| file.size).sum();
        if written >= bytes {
            return files.iter().map(|file| file.modified).max().context("no file");
        }
        if written > last {
            (last, since) = (written, Instant::now());
        }
        ensure!(since.elapsed() < STUCK, "{written} of {bytes} bytes are written, and none since {STUCK:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

struct LogFile {
    path: PathBuf,
    size: u64,
    /// Since 1970; as exact as the kernel's tick.
    modified: Duration,
}

/// Log files, at any depth. One that is renamed meanwhile may be left out, once.
fn files(dir: &Path) -> Result<Vec<LogFile>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let Ok(meta) = fs::metadata(&path) else { continue };
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let is_log = !["config", "lock"].contains(&name) && !name.starts_with('.');
        if meta.is_dir() {
            all.extend(files(&path)?);
        } else if is_log {
            let modified = meta.modified()?.duration_since(UNIX_EPOCH)?;
            all.push(LogFile { path, size: meta.size(), modified });
        }
    }
    Ok(all)
}

/// Newlines in all of them.
fn count_lines(dir: &Path) -> Result<u64> {
    let mut lines = 0;
    let mut buffer = vec![0; 1 << 20];
    for file in files(dir)? {
        let mut file = File::open(file.path)?;
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            lines += buffer[..count].iter().map(|b| u64::from(*b == b'\n')).sum::<u64>();
        }
    }
    Ok(lines)
}

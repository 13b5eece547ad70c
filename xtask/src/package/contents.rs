//! The files that packages have in common, and how files are put in place.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::source::{Source, output};

/// Below the prefix (`/usr`, `/usr/local`), beside programs, pages and completions: source and directory.
const SHARED: [(&str, &str); 9] = [
    ("dashboards/grafana", "share/dd-procmgrd/grafana"),
    ("dashboards/alerts/ddprocmgr.yml", "share/dd-procmgrd/alerts"),
    ("examples", "share/dd-procmgrd/examples"),
    ("packaging/examples", "share/dd-procmgrd/examples"),
    ("docs", "share/doc/dd-procmgrd/docs"),
    ("README.md", "share/doc/dd-procmgrd"),
    ("CONTRIBUTING.md", "share/doc/dd-procmgrd"),
    ("SECURITY.md", "share/doc/dd-procmgrd"),
    ("LICENSE", "share/doc/dd-procmgrd"),
];

/// Where a shell looks for what completes the words of a command.
const COMPLETIONS: [(&str, &str); 3] = [
    ("pm-cli.bash", "share/bash-completion/completions/pm-cli"),
    ("_pm-cli", "share/zsh/vendor-completions/_pm-cli"),
    ("pm-cli.fish", "share/fish/vendor_completions.d/pm-cli.fish"),
];

/// A tree that becomes a package.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    pub(super) source: &'a Source,
    pub(super) dir: PathBuf,
}

impl Tree<'_> {
    /// Programs and everything that does not depend on the kind of package.
    pub(super) fn put_shared(&self, prefix: &str, programs: &Path) -> Result<()> {
        let below = |path: &str| if prefix.is_empty() { path.to_owned() } else { format!("{prefix}/{path}") };
        for program in ["dd-procmgrd", "pm-cli"] {
            self.put(&programs.join(program), &below(&format!("bin/{program}")), 0o755)?;
        }
        // The name of the installation guide.
        symlink("pm-cli", self.dir.join(below("bin/dd-procmgr-cli")))?;
        for (from, to) in SHARED {
            let from = self.source.root.join(from);
            if from.is_dir() {
                self.put_all(&from, &below(to))?;
            } else {
                let name = from.file_name().unwrap_or_default().to_string_lossy().into_owned();
                self.put(&from, &below(&format!("{to}/{name}")), 0o644)?;
            }
        }
        self.put_pages(&below("share/man"))?;
        for (name, to) in COMPLETIONS {
            let from = self.source.root.join("packaging/completions").join(name);
            if from.exists() {
                self.put(&from, &below(to), 0o644)?;
            }
        }
        Ok(())
    }

    /// Man pages: the section is in the file's name.
    fn put_pages(&self, to: &str) -> Result<()> {
        for page in files(&self.source.root.join("packaging/man"))? {
            let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let section = name.rsplit('.').next().unwrap_or_default();
            if section.len() == 1 && section.starts_with(|c: char| c.is_ascii_digit()) {
                self.put(&page, &format!("{to}/man{section}/{name}"), 0o644)?;
            }
        }
        Ok(())
    }

    /// A directory with everything in it.
    pub(super) fn put_all(&self, from: &Path, to: &str) -> Result<()> {
        for file in files(from)? {
            // Not .gitignore and the like. Scripts stay executable.
            if file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
                continue;
            }
            let mode = if fs::metadata(&file)?.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 };
            let relative = file.strip_prefix(from).context("it was found in there")?;
            self.put(&file, &format!("{to}/{}", relative.display()), mode)?;
        }
        Ok(())
    }

    /// One file.
    pub(super) fn put(&self, from: &Path, to: &str, mode: u32) -> Result<()> {
        let hint = || format!("copying {}\n\nhint: without --no-build it is built first", from.display());
        self.write(to, &fs::read(from).with_context(hint)?, mode)
    }

    /// A file that is made here.
    pub(super) fn write(&self, to: &str, content: &[u8], mode: u32) -> Result<()> {
        let path = self.dir.join(to);
        let parent = path.parent().context("a file has a directory")?;
        fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        ensure!(!path.exists(), "two files for {}", path.display());
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(())
    }

    /// Directories get one mode, whatever the umask is, and everything the time of the source.
    pub(super) fn settle(&self) -> Result<()> {
        let script = r#"find "$1" -type d -exec chmod 755 {} + && find "$1" -exec touch --no-dereference --date="@$2" {} +"#;
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "sh"]).arg(&self.dir).arg(self.source.epoch.to_string());
        output(&mut shell).map(drop)
    }
}

/// Every file below a directory, in order; none where it is not there.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if dir.is_dir() {
        for entry in fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
            let path = entry?.path();
            if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

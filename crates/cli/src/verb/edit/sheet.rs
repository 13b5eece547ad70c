//! The file that the editor gets: a header that explains, then the text of the override.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use model::ProcessName;
use tempfile::TempDir;

/// Ends the header. What stands below it is the override, comments included.
const MARK: &str = "# ---- write below this line; what stands above it is not stored ----";
/// Longest text that is read back: far beyond the 1 MiB that the daemon takes, and far below what hurts.
const LONGEST: u64 = 16 * 1024 * 1024;

/// A file in a directory of its own, so that what an editor puts beside it (a swap file, a backup) is as private and
/// goes with it. Both are removed when this is dropped.
#[derive(Debug)]
pub(super) struct Sheet {
    dir: TempDir,
    path: PathBuf,
    header: String,
}

impl Sheet {
    /// A new sheet below `parent`, readable for the user alone: an override may hold secrets.
    pub(super) fn create(parent: &Path, name: &ProcessName, header: String, text: &str) -> io::Result<Self> {
        let private = Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new().prefix("pm-cli-edit-").permissions(private).tempdir_in(parent)?;
        // The name tells the editor which language this is, and its title which process.
        let path = dir.path().join(format!("{name}.yaml"));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(contents(&header, text).as_bytes())?;
        Ok(Self { dir, path, header })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What was written below the header.
    pub(super) fn text(&self) -> io::Result<String> {
        // By its path: many editors write a new file and put it in the place of the old one.
        let mut written = String::new();
        let read = File::open(&self.path)?.take(LONGEST + 1).read_to_string(&mut written)?;
        if u64::try_from(read).is_ok_and(|read| read > LONGEST) {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "that is too long for an override"));
        }
        Ok(below_header(&written).to_owned())
    }

    /// The same text below a header that also says what was wrong with it.
    pub(super) fn explain(&self, problem: &str) -> io::Result<()> {
        let header = format!("{}#\n# This was refused:\n{}", self.header, commented(problem));
        fs::write(&self.path, contents(&header, &self.text()?))
    }

    /// Lines in front of the text, as it stands in the file now.
    pub(super) fn lines_above(&self) -> usize {
        let written = fs::read_to_string(&self.path).unwrap_or_default();
        let text = below_header(&written);
        written[..written.len() - text.len()].lines().count()
    }

    /// Leaves the file where it is.
    pub(super) fn keep(self) -> PathBuf {
        // The path of the directory is the beginning of the file's.
        let _dir = self.dir.keep();
        self.path
    }
}

fn contents(header: &str, text: &str) -> String {
    let text = if text.is_empty() { "\n" } else { text };
    format!("{header}{MARK}\n{text}")
}

/// Each line as a comment.
pub(super) fn commented(text: &str) -> String {
    text.trim_end().lines().map(|line| format!("# {line}").trim_end().to_owned() + "\n").collect()
}

/// What stands below the mark; without it, everything but the comments at the top.
fn below_header(written: &str) -> &str {
    let mut at = 0;
    for line in written.split_inclusive('\n') {
        at += line.len();
        if line.trim_end() == MARK {
            return &written[at..];
        }
    }
    let mut at = 0;
    for line in written.split_inclusive('\n').take_while(|line| says_nothing(line)) {
        at += line.len();
    }
    &written[at..]
}

/// Whether a line is blank or a comment.
fn says_nothing(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

/// Whether the text sets no key.
pub(super) fn is_empty(text: &str) -> bool {
    text.lines().all(says_nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(dir: &Path, text: &str) -> Sheet {
        let name = ProcessName::new("web").unwrap();
        Sheet::create(dir, &name, "# about\n".to_owned(), text).unwrap()
    }

    #[test]
    fn it_is_private_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let sheet = sheet(dir.path(), "user: a\n");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(sheet.path()), mode(sheet.path().parent().unwrap())), (0o600, 0o700));
        assert_eq!(sheet.path().file_name().unwrap(), "web.yaml");
        drop(sheet);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_kept_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        let path = sheet(dir.path(), "user: a\n").keep();
        assert!(fs::read_to_string(path).unwrap().ends_with("user: a\n"));
    }

    #[test]
    fn only_the_header_is_taken_off() {
        for text in ["", "user: a\n", "# mine\n\nuser: a", "# a\n# b\n"] {
            let dir = tempfile::tempdir().unwrap();
            let sheet = sheet(dir.path(), text);
            assert_eq!(sheet.text().unwrap().trim(), text.trim());
            sheet.explain("error: no\n --> x\n").unwrap();
            assert_eq!(sheet.text().unwrap().trim(), text.trim());
            let all = fs::read_to_string(sheet.path()).unwrap();
            assert!(
                all.starts_with("# about\n#\n# This was refused:\n# error: no\n#  --> x\n# ----"),
                "{all}"
            );
        }
    }

    #[test]
    fn without_the_mark_the_comments_at_the_top_go() {
        assert_eq!(below_header("# a\n\n#b\nuser: x # y\n# c\n"), "user: x # y\n# c\n");
        assert_eq!(below_header("# a\n#b"), "");
        assert_eq!(below_header(""), "");
    }

    #[test]
    fn what_can_not_be_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let sheet = sheet(dir.path(), "");
        fs::write(sheet.path(), b"user: \xff").unwrap();
        assert!(sheet.text().is_err());
        fs::write(sheet.path(), vec![b'x'; 16 * 1024 * 1024 + 1]).unwrap();
        assert_eq!(sheet.text().unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        fs::remove_file(sheet.path()).unwrap();
        assert_eq!(sheet.text().unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn emptiness() {
        for text in ["", "\n \n", "# only\n\n  # comments"] {
            assert!(is_empty(text), "{text:?}");
        }
        assert!(!is_empty("# a\nuser: x"));
    }
}

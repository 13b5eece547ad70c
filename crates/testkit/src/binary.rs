//! The programs of this workspace, as built next to the running test.

use std::fmt;
use std::path::{Path, PathBuf};

/// A program that has not been built.
#[derive(Debug)]
pub struct MissingBinary(PathBuf);

impl fmt::Display for MissingBinary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not there: run cargo build --workspace first", self.0.display())
    }
}

impl std::error::Error for MissingBinary {}

/// Path of a program in the directory (`target/<profile>`) that the running program itself was built into, so that
/// tests of a release build run the release build.
pub fn binary(name: &str) -> Result<PathBuf, MissingBinary> {
    let own = std::env::current_exe().unwrap_or_default();
    let path = profile_dir(&own).join(name);
    if path.is_file() { Ok(path) } else { Err(MissingBinary(path)) }
}

/// Tests lie in `<profile>/deps`, examples in `<profile>/examples`, programs in `<profile>`.
fn profile_dir(executable: &Path) -> &Path {
    let dir = executable.parent().unwrap_or(Path::new(""));
    match dir.file_name().and_then(|n| n.to_str()) {
        Some("deps" | "examples") => dir.parent().unwrap_or(dir),
        _ => dir,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_profile_directory() {
        for own in ["/t/debug/deps/e2e-1f", "/t/debug/examples/x", "/t/debug/probe"] {
            assert_eq!(profile_dir(Path::new(own)), Path::new("/t/debug"));
        }
    }

    #[test]
    fn a_missing_program_says_what_to_do() {
        let error = binary("no-such-program").unwrap_err().to_string();
        assert!(error.contains("no-such-program"), "{error}");
        assert!(error.contains("cargo build --workspace"), "{error}");
    }
}

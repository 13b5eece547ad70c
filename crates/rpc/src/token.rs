//! The bearer token: proof over TCP that the caller can read a file that only the right group can read.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};
use std::{fmt, process};

/// Random bytes in a token.
const BYTES: usize = 32;
/// How the token is presented.
const SCHEME: &[u8] = b"Bearer";
/// A token file is one line; anything longer is not one.
const MAX_FILE: u64 = 4 * 1024;

/// A secret and the file that holds it. `Debug` doesn't show the secret.
#[derive(Clone)]
pub struct Token {
    secret: String,
    path: PathBuf,
    group: Option<u32>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Token {
    /// Makes a new token for the file `path`, which will be readable by its owner, and by `group` when one is given.
    /// [`Server::bind`](crate::Server::bind) writes the file: only once it holds the lock of the runtime directory is it
    /// sure that this is not the token of another daemon that lives there.
    pub fn create(path: &Path, group: Option<u32>) -> io::Result<Self> {
        let mut random = [0_u8; BYTES];
        fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let secret = random.iter().map(|b| format!("{b:02x}")).collect();
        Ok(Self { secret, path: path.to_owned(), group })
    }

    /// Writes the file, in place of an older one. It appears under its name only with its final owner, mode and content.
    pub(crate) fn publish(&self) -> io::Result<()> {
        let fresh = self.path.with_extension(format!("{}.new", process::id()));
        // A leftover of a crashed daemon that had the same pid; the directory is the daemon's own.
        match fs::remove_file(&fresh) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(format!("{}\n", self.secret).as_bytes())?;
        if let Some(gid) = self.group {
            // Group first: the other way round, the daemon's own group could read it for a moment.
            fchown(&file, None, Some(gid))?;
            file.set_permissions(Permissions::from_mode(0o640))?;
        }
        fs::rename(&fresh, &self.path)
    }

    /// Reads a token from its file. An empty file holds none: InvalidData.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut text = String::new();
        fs::File::open(path)?.take(MAX_FILE).read_to_string(&mut text)?;
        let secret = text.trim().to_owned();
        if secret.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file holds no token"));
        }
        Ok(Self { secret, path: path.to_owned(), group: None })
    }

    /// Removes the file, if it still holds this token: one that outlives its daemon would be shown to the next one
    /// that listens on the port, and refused.
    fn withdraw(&self) {
        let ours = Self::read(&self.path).is_ok_and(|found| found.secret == self.secret);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "the token stays behind");
        }
    }

    /// The file that holds it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The value of the `authorization` header.
    pub(crate) fn header(&self) -> String {
        format!("Bearer {}", self.secret)
    }

    /// Whether the value of an `authorization` header holds this token. Takes the same time wherever they differ. As HTTP
    /// has it, the scheme may be written in any case.
    pub(crate) fn matches(&self, header: &[u8]) -> bool {
        let Some((scheme, given)) = header.split_at_checked(SCHEME.len()) else { return false };
        let spaces = given.iter().take_while(|byte| **byte == b' ').count();
        let given = &given[spaces..];
        let differing = self.secret.bytes().zip(given).fold(0, |acc, (a, b)| acc | (a ^ b));
        let is_same = self.secret.len() == given.len() && differing == 0;
        spaces > 0 && scheme.eq_ignore_ascii_case(SCHEME) && is_same
    }
}

/// The token that is valid now, which can be exchanged.
#[derive(Debug)]
pub(crate) struct Keeper {
    valid: RwLock<Valid>,
    /// Held by whoever exchanges it. True = the file is given up, and may be another daemon's by now.
    ended: Mutex<bool>,
}

/// Why there is no new token; the old one is as it was.
#[derive(Debug)]
pub(crate) enum NotRotated {
    /// The file is given up.
    Ended,
    /// It can't be written.
    Io(io::Error),
}

impl From<io::Error> for NotRotated {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[derive(Clone, Debug)]
struct Valid {
    now: Token,
    /// About to be in the file, so that whoever reads it there is not refused.
    next: Option<Token>,
}

impl Keeper {
    pub(crate) fn new(token: Token) -> Self {
        Self { valid: RwLock::new(Valid { now: token, next: None }), ended: Mutex::new(false) }
    }

    fn set(&self, valid: Valid) {
        *self.valid.write().unwrap_or_else(PoisonError::into_inner) = valid;
    }

    /// The valid one.
    pub(crate) fn token(&self) -> Token {
        self.valid.read().unwrap_or_else(PoisonError::into_inner).now.clone()
    }

    /// Its file, always the same.
    pub(crate) fn path(&self) -> PathBuf {
        self.token().path
    }

    /// As [`Token::matches`].
    pub(crate) fn matches(&self, header: &[u8]) -> bool {
        let valid = self.valid.read().unwrap_or_else(PoisonError::into_inner);
        valid.now.matches(header) | valid.next.as_ref().is_some_and(|next| next.matches(header))
    }

    /// Makes a new token and writes it into the file; the old one is void once this returns. When it can't be written,
    /// the old one stays. Blocks.
    pub(crate) fn rotate(&self) -> Result<(), NotRotated> {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if *ended {
            return Err(NotRotated::Ended);
        }
        let now = self.token();
        let next = Token::create(&now.path, now.group)?;
        self.set(Valid { now: now.clone(), next: Some(next.clone()) });
        let written = next.publish();
        let valid = if written.is_ok() { next } else { now };
        self.set(Valid { now: valid, next: None });
        Ok(written?)
    }

    /// Gives the file up, for ever: the directory is about to be another daemon's. Waits for who exchanges it, which is a
    /// matter of one small file.
    pub(crate) fn withdraw(&self) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        *ended = true;
        self.token().withdraw();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_created_can_be_read_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let first = Token::create(&path, None).unwrap();
        assert!(!path.exists(), "not before the lock is held");
        first.publish().unwrap();
        let second = Token::create(&path, None).unwrap();
        second.publish().unwrap();
        assert_ne!(first.secret, second.secret);
        assert_eq!(Token::read(&path).unwrap().secret, second.secret);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
        assert!(!format!("{second:?}").contains(&second.secret));
    }

    #[test]
    fn only_its_own_token_is_withdrawn() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let (first, second) = (Token::create(&path, None).unwrap(), Token::create(&path, None).unwrap());
        first.publish().unwrap();
        second.publish().unwrap();
        first.withdraw();
        assert!(path.exists(), "it is another daemon's by now");
        second.withdraw();
        assert!(!path.exists());
        fs::write(&path, "\n").unwrap();
        assert_eq!(Token::read(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_group_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let own = nix::unistd::getegid().as_raw();
        Token::create(&path, Some(own)).unwrap().publish().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn only_the_whole_token_matches() {
        let token = Token { secret: "abc".into(), path: PathBuf::new(), group: None };
        for good in [&b"Bearer abc"[..], b"bearer abc", b"BEARER  abc"] {
            assert!(token.matches(good), "{good:?}");
        }
        for bad in [
            &b"Bearer ab"[..],
            b"Bearer abcd",
            b"Bearer abd",
            b"Bearer ABC",
            b"Bearerabc",
            b"Bearer\tabc",
            b"Bearer abc ",
            b"Basic  abc",
            b"Bearer",
            b"Bearer ",
            b"abc",
            b"",
        ] {
            assert!(!token.matches(bad), "{bad:?}");
        }
    }

    #[test]
    fn after_a_rotation_only_the_new_one_is_valid() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let first = Token::create(&path, Some(nix::unistd::getegid().as_raw())).unwrap();
        first.publish().unwrap();
        let keeper = Keeper::new(first.clone());
        keeper.rotate().unwrap();
        let second = Token::read(&path).unwrap();
        assert!(keeper.matches(second.header().as_bytes()));
        assert!(!keeper.matches(first.header().as_bytes()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640, "the group has it too");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_token_that_cannot_be_written_is_not_valid() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/token");
        fs::create_dir(dir.path().join("sub")).unwrap();
        let first = Token::create(&path, None).unwrap();
        first.publish().unwrap();
        let keeper = Keeper::new(first.clone());
        fs::remove_dir_all(dir.path().join("sub")).unwrap();
        let NotRotated::Io(error) = keeper.rotate().unwrap_err() else { panic!("it did not end") };
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(keeper.matches(first.header().as_bytes()));
        assert!(keeper.valid.read().unwrap().next.is_none());
    }

    #[test]
    fn what_was_given_up_is_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let first = Token::create(&path, None).unwrap();
        first.publish().unwrap();
        let keeper = Keeper::new(first);
        keeper.withdraw();
        // The next daemon's.
        let next = Token::create(&path, None).unwrap();
        next.publish().unwrap();
        assert!(matches!(keeper.rotate(), Err(NotRotated::Ended)));
        assert_eq!(Token::read(&path).unwrap().secret, next.secret);
        keeper.withdraw();
        assert!(path.exists());
    }

    #[test]
    fn rotations_at_the_same_time_leave_the_one_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let keeper = Keeper::new(Token::create(&path, None).unwrap());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| keeper.rotate().unwrap());
            }
        });
        assert!(keeper.matches(Token::read(&path).unwrap().header().as_bytes()));
    }
}

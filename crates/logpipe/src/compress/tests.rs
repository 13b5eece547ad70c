//! Compressing beside people who delete, on a disk that is full, and after crashes.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use super::*;
use crate::testing::until;

const ARCHIVE: &str = "web.log.20260101T000000.000000Z";

struct Case {
    dir: tempfile::TempDir,
    path: PathBuf,
}

impl Case {
    /// With one archive of this text.
    fn new(text: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web.log");
        let case = Self { dir, path };
        std::fs::write(case.at(ARCHIVE), text).unwrap();
        case
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn compressed(&self) -> PathBuf {
        self.at(&format!("{ARCHIVE}.gz"))
    }

    fn draft(&self) -> PathBuf {
        self.at(&format!(".{ARCHIVE}.gz.tmp"))
    }

    fn run(&self) {
        compress_archives(&self.path, self.dir.path(), &AtomicBool::new(false));
    }

    fn names(&self) -> Vec<OsString> {
        let mut names: Vec<_> =
            std::fs::read_dir(self.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    }
}

fn unpacked(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(File::open(path).unwrap()).read_to_end(&mut text).unwrap();
    text
}

/// Several blocks.
fn long_text() -> Vec<u8> {
    (0..40_000).flat_map(|i| format!("line {i}\n").into_bytes()).collect()
}

#[test]
fn an_archive_becomes_smaller_and_keeps_text_mode_owner_time_and_index() {
    let text = long_text();
    let case = Case::new(&text);
    std::fs::write(case.at(&format!(".{ARCHIVE}.idx")), "index").unwrap();
    std::fs::write(&case.path, "current\n").unwrap();
    let file = File::open(case.at(ARCHIVE)).unwrap();
    file.set_permissions(PermissionsExt::from_mode(0o640)).unwrap();
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    file.set_modified(then).unwrap();
    let owner = file.metadata().unwrap();
    case.run();
    let expected = [format!(".{ARCHIVE}.idx"), "web.log".to_owned(), format!("{ARCHIVE}.gz")];
    assert_eq!(case.names(), expected.map(OsString::from));
    assert_eq!(unpacked(&case.compressed()), text);
    let meta = std::fs::metadata(case.compressed()).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.modified().unwrap()), (0o640, then));
    assert_eq!((meta.uid(), meta.gid()), (owner.uid(), owner.gid()));
    assert!(meta.len() < owner.len() / 4);
    assert_eq!(archive::list(&case.path).unwrap(), [case.compressed()]);
}

#[test]
fn what_a_crash_left_is_made_good() {
    // Within the draft, and between the two names.
    for left in [Case::draft, Case::compressed] {
        let case = Case::new(b"whole\n");
        std::fs::write(left(&case), "half").unwrap();
        assert_eq!(archive::list(&case.path).unwrap(), [case.at(ARCHIVE)], "the plain one counts");
        case.run();
        assert_eq!(case.names(), [format!("{ARCHIVE}.gz")].map(OsString::from));
        assert_eq!(unpacked(&case.compressed()), b"whole\n");
    }
}

#[test]
fn an_abandoned_one_leaves_nothing_behind() {
    let case = Case::new(&long_text());
    let dir = place::open_dir(case.dir.path(), case.dir.path()).unwrap();
    compress(&dir, OsStr::new(ARCHIVE), &AtomicBool::new(true)).unwrap();
    assert_eq!(case.names(), [OsString::from(ARCHIVE)]);
}

#[test]
fn what_is_deleted_meanwhile_stays_deleted() {
    let case = Case::new(b"text\n");
    let name = OsStr::new(ARCHIVE);
    let dir = place::open_dir(case.dir.path(), case.dir.path()).unwrap();
    let source = File::open(case.at(ARCHIVE)).unwrap();
    // Before it has its name: by somebody who puts another file there, and by somebody who doesn't.
    std::fs::rename(case.at(ARCHIVE), case.at("away")).unwrap();
    std::fs::write(case.at(ARCHIVE), "other\n").unwrap();
    std::fs::write(case.draft(), "").unwrap();
    assert!(!publish(&dir, name, &source).unwrap());
    std::fs::remove_file(case.at(ARCHIVE)).unwrap();
    assert_eq!(publish(&dir, name, &source).unwrap_err().kind(), io::ErrorKind::NotFound);
    // And after.
    std::fs::rename(case.at("away"), case.at(ARCHIVE)).unwrap();
    assert!(publish(&dir, name, &source).unwrap() && case.compressed().exists());
    std::fs::remove_file(case.at(ARCHIVE)).unwrap();
    delete_plain(&dir, name).unwrap();
    assert_eq!(case.names(), Vec::<OsString>::new());
}

#[test]
fn a_full_disk_costs_the_draft_and_not_the_archive() {
    let source = Case::new(&long_text());
    let full = File::options().write(true).open("/dev/full").unwrap();
    let from = File::open(source.at(ARCHIVE)).unwrap();
    let error = write_draft(&from, &full, &AtomicBool::new(false)).unwrap_err();
    assert!(place::is_full(&error));
    // A draft that can't be made is the same to the archive.
    std::fs::create_dir(source.draft()).unwrap();
    source.run();
    assert_eq!(archive::list(&source.path).unwrap(), [source.at(ARCHIVE)]);
    assert_eq!(std::fs::read(source.at(ARCHIVE)).unwrap(), long_text());
}

#[test]
fn links_are_not_followed() {
    let case = Case::new(b"");
    std::fs::remove_file(case.at(ARCHIVE)).unwrap();
    std::fs::write(case.at("secret"), "secret").unwrap();
    symlink(case.at("secret"), case.at(ARCHIVE)).unwrap();
    case.run();
    assert_eq!(case.names(), [OsString::from("secret"), ARCHIVE.into()]);
    // In a directory where others can write, a second name might be anybody's file.
    std::fs::remove_file(case.at(ARCHIVE)).unwrap();
    std::fs::hard_link(case.at("secret"), case.at(ARCHIVE)).unwrap();
    std::fs::set_permissions(case.dir.path(), PermissionsExt::from_mode(0o1777)).unwrap();
    case.run();
    assert_eq!(case.names(), [OsString::from("secret"), ARCHIVE.into()]);
    // A draft that stands there already is replaced, never written through.
    std::fs::remove_file(case.at(ARCHIVE)).unwrap();
    std::fs::write(case.at(ARCHIVE), "log\n").unwrap();
    symlink(case.at("secret"), case.draft()).unwrap();
    case.run();
    assert_eq!(std::fs::read(case.at("secret")).unwrap(), b"secret");
    assert_eq!(unpacked(&case.compressed()), b"log\n");
}

#[test]
fn the_thread_starts_when_needed_and_ends_when_told() {
    let case = Case::new(&long_text());
    let compressor = Compressor::default();
    compressor.stop(Instant::now());
    let compressor = Compressor::default();
    assert!(!compressor.0.lock().running);
    compressor.request(&case.path, case.dir.path());
    until("compressed", || {
        archive::list(&case.path).unwrap()[0].extension().filter(|e| *e == "gz").map(drop)
    });
    compressor.stop(Instant::now() + Duration::from_secs(30));
    assert!(!compressor.0.lock().running);
    compressor.request(&case.path, case.dir.path());
    assert!(compressor.0.lock().waiting.is_empty(), "nothing is begun any more");
}

#[test]
fn requests_are_bounded_and_each_log_file_waits_once() {
    let compressor = Compressor::default();
    // As if it were busy.
    compressor.0.lock().running = true;
    let base = Path::new("/");
    (0..2).for_each(|_| compressor.request(Path::new("/a.log"), base));
    assert_eq!(compressor.0.lock().waiting.len(), 1);
    (0..2 * WAITING_MAX).for_each(|i| compressor.request(Path::new(&format!("/{i}.log")), base));
    assert_eq!(compressor.0.lock().waiting.len(), WAITING_MAX);
}

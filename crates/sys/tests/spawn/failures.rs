//! Each step that can fail says which one it was and why, and leaves nothing behind.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};

use nix::errno::Errno;
use sys::spawn::{Isolation, Request, SpawnError, Spawner, Stage, Stdio};

use crate::support::{command, path, readable, sh};

#[test]
fn programs_that_cannot_be_executed() {
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("plain");
    fs::write(&plain, "echo no\n").unwrap();
    let text = dir.path().join("text");
    fs::write(&text, "neither a script nor a binary\n").unwrap();
    fs::set_permissions(&text, fs::Permissions::from_mode(0o755)).unwrap();
    let script = dir.path().join("script");
    fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let circle = dir.path().join("circle");
    symlink(&circle, &circle).unwrap();
    for (file, errno) in [
        (dir.path().join("missing"), Errno::ENOENT),
        (plain.clone(), Errno::EACCES),
        (dir.path().to_owned(), Errno::EACCES),
        (plain.join("below"), Errno::ENOTDIR),
        (text, Errno::ENOEXEC),
        (script, Errno::ENOENT),
        (circle, Errno::ELOOP),
    ] {
        let failure = command(&[file.to_str().unwrap()]).failure();
        assert_eq!(failure, SpawnError { stage: Stage::Exec, errno }, "{}", file.display());
    }
}

#[test]
fn arguments_that_are_too_long() {
    let long = "x".repeat(1 << 20);
    let failure = command(&["/bin/true", &long]).failure();
    assert_eq!(failure, SpawnError { stage: Stage::Exec, errno: Errno::E2BIG });
}

#[test]
fn working_directories_that_cannot_be_entered() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for (dir, errno) in [(dir.path().join("gone"), Errno::ENOENT), (file, Errno::ENOTDIR)] {
        let mut command = command(&["/bin/true"]);
        command.working_dir = Some(path(&dir));
        assert_eq!(command.failure(), SpawnError { stage: Stage::WorkingDir, errno });
    }
}

#[test]
fn a_directory_that_is_no_cgroup() {
    let dir = tempfile::tempdir().unwrap();
    let dir = File::open(dir.path()).unwrap();
    let null = || File::open("/dev/null").unwrap().into();
    let request = Request {
        program: &command(&["/bin/true"]).program,
        stdio: Stdio { stdin: null(), stdout: null(), stderr: null() },
        working_dir: None,
        credentials: None,
        umask: 0o022,
        cgroup: Some(dir.as_fd()),
        isolation: Isolation::NONE,
    };
    let failure = Spawner::new().unwrap().spawn(request).map(|c| c.pid).unwrap_err();
    assert_eq!(failure, SpawnError { stage: Stage::Cgroup, errno: Errno::EBADF });
}

#[test]
fn nothing_is_left_of_a_failure_and_the_next_spawn_works() {
    let mut spawner = Spawner::new().unwrap();
    for _ in 0..20 {
        let (mut output, failed) = command(&["/no/such/program"]).spawn_with(&mut spawner);
        assert_eq!(failed.map(|r| r.child.pid).unwrap_err().errno, Errno::ENOENT);
        // Nobody has the writing end any more: neither a slot nor the request.
        readable(&output);
        let mut said = [0; 512];
        let length = output.read(&mut said).unwrap();
        assert_eq!(String::from_utf8_lossy(&said[..length]), "");
        // No zombie: this thread's only children are those that it spawned.
        let thread = nix::unistd::gettid();
        assert_eq!(fs::read_to_string(format!("/proc/self/task/{thread}/children")).unwrap(), "");
        let (_, running) = sh("echo fine").spawn_with(&mut spawner);
        let mut running = running.unwrap();
        assert_eq!(running.rest(), "fine\n");
        running.end();
    }
}

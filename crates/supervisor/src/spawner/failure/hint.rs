//! The way out: what an operator can do about each error of the system, step by step.

use std::io;

use model::is_shell_word;
use nix::errno::Errno;
use nix::unistd::geteuid;

use super::{Attempt, Task, denied};

pub(super) const A_DIRECTORY: &str = "this is a directory: name the program in it";
pub(super) const A_PART: &str = "a part of the path is not a directory";
pub(super) const A_CIRCLE: &str = "its symbolic links lead in a circle";

/// What any step may run out of; nothing for all else.
pub(super) fn resources(errno: Errno) -> String {
    let hint = match errno {
        Errno::ENOMEM => "the machine is out of memory, or a cgroup's memory.max is reached",
        Errno::EAGAIN => "a limit of the system is reached for now: it is tried again as restart: says",
        Errno::EMFILE => "the daemon is out of descriptors: raise LimitNOFILE= of its unit",
        Errno::ENFILE => "the machine is out of descriptors: raise fs.file-max",
        Errno::ENOSPC => "the disk, or a limit of the kernel, is full",
        Errno::EIO | Errno::ESTALE => "the disk or the file server fails: see dmesg",
        Errno::ENAMETOOLONG => "the path is too long",
        Errno::ELOOP => A_CIRCLE,
        Errno::ENOTDIR => A_PART,
        _ => "",
    };
    hint.into()
}

pub(super) fn name_services(errno: Errno) -> String {
    match resources(errno) {
        hint if hint.is_empty() => "the name services failed: see /etc/nsswitch.conf, or give numbers".into(),
        hint => hint,
    }
}

/// setgroups(2), setresgid(2), setresuid(2).
pub(super) fn identity(errno: Errno) -> String {
    match errno {
        Errno::EPERM => privileges(),
        Errno::EINVAL => {
            "the number does not exist in the daemon's user namespace, or these are too many groups".into()
        }
        other => resources(other),
    }
}

fn privileges() -> String {
    let own = geteuid();
    let way_out = if own.is_root() {
        "a container or CapabilityBoundingSet= of the unit took them away"
    } else {
        "run it as root or use dd-procmgrd-capability.service"
    };
    format!("the daemon needs CAP_SETUID and CAP_SETGID (it runs as uid {own}): {way_out}")
}

pub(super) fn uid(errno: Errno) -> String {
    match errno {
        Errno::EAGAIN => PROCESSES_OF_USER.into(),
        other => identity(other),
    }
}

const PROCESSES_OF_USER: &str = "the user's limit of processes is reached: raise RLIMIT_NPROC";

/// clone3(2).
pub(super) fn clone(errno: Errno) -> String {
    match errno {
        Errno::ENOSYS | Errno::EPERM => {
            "clone3(2) is forbidden or missing: take RestrictNamespaces= out of the unit, update the container \
             runtime, or use Linux 5.5 or newer"
                .into()
        }
        Errno::EAGAIN => {
            "the limit of processes is reached: TasksMax= of the unit, pids.max or RLIMIT_NPROC".into()
        }
        other => resources(other),
    }
}

/// clone3(2) with CLONE_INTO_CGROUP.
pub(super) fn in_cgroup(errno: Errno) -> &'static str {
    match errno {
        Errno::EBUSY => "the cgroup of the unit has controllers enabled that forbid processes in it",
        Errno::EACCES => "the unit needs Delegate=yes",
        Errno::EOPNOTSUPP => "the cgroup is of type threaded: the unit needs a cgroup of its own",
        Errno::ENODEV | Errno::ENOENT | Errno::EBADF => "somebody removed the cgroup of this run",
        _ => "",
    }
}

pub(super) fn descriptors(errno: Errno) -> String {
    match errno {
        Errno::ENOSYS | Errno::EPERM | Errno::EINVAL => {
            "close_range(2) is missing: Linux 5.9 or newer is needed, or a seccomp profile forbids it".into()
        }
        other => resources(other),
    }
}

pub(super) fn working_dir(errno: Errno, attempt: &Attempt<'_>) -> String {
    match errno {
        Errno::ENOENT => "create it, or fix `working_dir`".into(),
        Errno::ENOTDIR => "it is not a directory: fix `working_dir`".into(),
        Errno::EACCES => format!("{} may not enter it", who(attempt)),
        other => resources(other),
    }
}

pub(super) fn execution(errno: Errno, attempt: &Attempt<'_>) -> String {
    let path = attempt.path;
    match errno {
        Errno::ENOENT if path.exists() => denied::interpreter(path),
        Errno::ENOENT => missing(attempt.task),
        Errno::EACCES => denied::execute(path, &who(attempt)),
        Errno::EPERM => "a security module or a seccomp profile forbids it: see the kernel's log".into(),
        // Not at setresuid(2) but here does the kernel count the processes of the new user.
        Errno::EAGAIN => PROCESSES_OF_USER.into(),
        Errno::ENOEXEC => {
            "neither a program for this machine nor a script with a #! line: start it with its interpreter"
                .into()
        }
        Errno::E2BIG => {
            "args and env are larger than the kernel takes: 128 KiB each, and together a quarter of the stack's limit"
                .into()
        }
        Errno::ETXTBSY => {
            "the file is being written: replace a program by renaming the complete new file over it"
                .into()
        }
        other => resources(other),
    }
}

fn who(attempt: &Attempt<'_>) -> String {
    format!("user {}", attempt.account.name)
}

/// There is no program of that name.
pub(super) fn not_in_path(task: Task<'_>, path: &str) -> String {
    if is_shell_word(task.program) {
        return format!("`{}` is a word of the shell, and no shell runs: write sh -c '...'", task.program);
    }
    let place = task.helper.map_or("as the command".to_owned(), |key| format!("in {key}:"));
    format!("install it, or write its full path {place}; searched PATH={path}")
}

/// There is no such file.
pub(super) fn missing(task: Task<'_>) -> String {
    if !task.program.starts_with('/') {
        "a command with a slash is relative to working_dir:; write its full path".into()
    } else if let Some(key) = task.helper {
        format!("install it, or correct {key}:")
    } else {
        "install it, or correct the command".into()
    }
}

/// A file of variables.
pub(super) fn unreadable(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT) => "create it, or write `-` before its path if it may be missing".into(),
        Some(Errno::EACCES | Errno::EPERM) => {
            format!("it is read by the daemon, which runs as uid {}: let that read it", geteuid())
        }
        Some(Errno::ELOOP) => A_CIRCLE.into(),
        Some(Errno::ENOTDIR) => A_PART.into(),
        Some(errno) => resources(errno),
        None => "fix `environment_file`".into(),
    }
}

/// The socket that a process reports to, and the directory that it is made in.
pub(super) fn socket(errno: i32) -> String {
    match Errno::from_raw(errno) {
        Errno::EACCES | Errno::EROFS => {
            format!("the daemon, which runs as uid {}, must be able to write there", geteuid())
        }
        Errno::EPERM => "it belongs to another user, who could put something else there: remove it".into(),
        Errno::ENAMETOOLONG => {
            "the path of a socket has at most 107 bytes: give the daemon a shorter runtime directory".into()
        }
        Errno::ENOENT => "the daemon's runtime directory is gone: restart the daemon".into(),
        Errno::ENOTDIR => "something else is there in place of the directory: remove it".into(),
        other => resources(other),
    }
}

//! One run on its way: conditions, user, environment, program, standard input and output, process.

use std::cell::Cell;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use model::{ExecSpec, ResourceLimits, SpawnFailure, SpawnStage};
use sys::cgroup::Leaf;
use sys::credentials::{self, Resolved};
use sys::spawn::{Program, Request, Stdio, resolve_program};

use super::launch::Launch;
use super::task::Task;
use super::{
    Born, Limited, Pool, Spawned, conditions, environment, environment_file, failure, limits, reserve,
};
use crate::containment;
use crate::notify::NotifySocket;
use crate::stdio::{Attach, ChildStdio, RunInfo};
use failure::Attempt;

/// umask of a process that names none.
const UMASK: u32 = 0o022;

/// Everything that a spawn needs, found and checked.
struct Prepared {
    account: Resolved,
    /// Whether the account is another one than the daemon's.
    switch: bool,
    program: Program,
    path: PathBuf,
    working_dir: CString,
    stdio: ChildStdio,
    attach: Attach,
    notify: Option<NotifySocket>,
}

/// A cgroup that nothing was born in yet: removed if nothing is.
struct Nest(Option<Leaf>);

impl Drop for Nest {
    fn drop(&mut self) {
        if let Some(leaf) = &self.0 {
            let _is_empty = leaf.remove();
        }
    }
}

impl Pool {
    /// Does what the run asks for. Whatever fails, and a panic, too, ends in an answer: without one the process would
    /// be `starting` for ever.
    pub(super) fn run(&self, launcher: &mut dyn Launch, info: &RunInfo) -> Spawned {
        let at = Cell::new(SpawnStage::Credentials);
        let attempt = catch_unwind(AssertUnwindSafe(|| self.attempt(launcher, info, &at)));
        match attempt.unwrap_or_else(|_| Err(failure::panicked(&info.spec.name, at.get()))) {
            Ok(spawned) => spawned,
            Err(failure) => Spawned::Failed(failure::with_place(failure, Task::of(info))),
        }
    }

    /// `at` is kept at the step that is being done.
    fn attempt(
        &self,
        launcher: &mut dyn Launch,
        info: &RunInfo,
        at: &Cell<SpawnStage>,
    ) -> Result<Spawned, SpawnFailure> {
        if info.first
            && let Some(condition) = conditions::first_unmet(&info.spec.start.conditions)
        {
            return Ok(Spawned::Skipped(condition.to_string()));
        }
        let prepared = self.prepare(info, at)?;
        self.spawn(launcher, info, prepared, at).map(Spawned::Born)
    }

    fn prepare(&self, info: &RunInfo, at: &Cell<SpawnStage>) -> Result<Prepared, SpawnFailure> {
        let (exec, task) = (&info.spec.exec, Task::of(info));
        let switch = exec.user.is_some() || exec.group.is_some() || exec.supplementary_groups.is_some();
        let account = self.account(exec, switch)?;

        at.set(SpawnStage::Environment);
        let files = environment_file::read_all(&exec.environment_files)
            .map_err(|(path, trouble)| failure::environment_file(path, &trouble))?;
        let path_of_file = !exec.env.contains_key(environment::PATH)
            && files.iter().any(|(name, _)| name == environment::PATH);
        let mut env = environment::build(info, &account, &self.base_env, files);
        if let Some(paths) = self.runtime_directories(exec) {
            let own = OsString::from(environment::RUNTIME_DIRECTORY);
            if !exec.env.contains_key(environment::RUNTIME_DIRECTORY) {
                env.insert(own, paths);
            }
        }

        at.set(SpawnStage::Resolve);
        let working_dir = exec.working_dir.clone().unwrap_or_else(|| PathBuf::from("/"));
        let path_var = env.get(OsStr::new(environment::PATH)).map(OsString::as_os_str);
        let path = resolve_program(OsStr::new(task.program), path_var, Some(&working_dir))
            .map_err(|error| failure::program(task, path_of_file, &error))?;
        let mut argv = vec![c_string(task.program.as_bytes())?];
        for arg in task.args {
            argv.push(c_string(arg.as_bytes())?);
        }
        let mut envp = Vec::with_capacity(env.len() + 1);
        for (name, value) in &env {
            envp.push(variable(name, value)?);
        }
        let program_path = c_path(&path)?;
        let working_dir = c_path(&working_dir)?;

        at.set(SpawnStage::RuntimeDirectory);
        self.make_directories(info, &account)?;

        // After all of the above, so that whatever is missing is found before a pipe or a log file is opened.
        at.set(SpawnStage::Stdio);
        let (stdio, attach) = self.stdio.open(info).map_err(failure::stdio)?;
        reserve::check(info, &stdio)?;

        at.set(SpawnStage::Notify);
        let reports = info.helper.is_none() && info.spec.start.notifies();
        let notify = reports.then(|| self.notify_socket(info, &account)).transpose()?;
        if let Some(socket) = &notify {
            envp.push(variable(environment::NOTIFY_SOCKET.as_ref(), socket.path().as_ref())?);
        }
        let program = Program { path: program_path, argv, env: envp };
        Ok(Prepared { account, switch, program, path, working_dir, stdio, attach, notify })
    }

    /// `$RUNTIME_DIRECTORY`, as systemd has it.
    fn runtime_directories(&self, exec: &ExecSpec) -> Option<OsString> {
        let names = &exec.isolation.runtime_directories;
        let paths: Vec<OsString> =
            names.iter().map(|name| self.directories.path(name).into_os_string()).collect();
        (!paths.is_empty()).then(|| paths.join(OsStr::new(":")))
    }

    fn make_directories(&self, info: &RunInfo, account: &Resolved) -> Result<(), SpawnFailure> {
        let isolation = &info.spec.exec.isolation;
        for name in &isolation.runtime_directories {
            let (of, mode) = (&info.spec.name, isolation.runtime_directory_mode);
            self.directories.make(name, of, info.number, &account.credentials, mode).map_err(|trouble| {
                failure::runtime_directory(&self.directories.path(name), &trouble, account)
            })?;
        }
        Ok(())
    }

    /// Who the process runs as.
    fn account(&self, exec: &ExecSpec, switch: bool) -> Result<Resolved, SpawnFailure> {
        if let (false, Some(own)) = (switch, self.own_account.get()) {
            return Ok(own.clone());
        }
        let groups = exec.supplementary_groups.as_deref();
        let account = credentials::lookup(exec.user.as_deref(), exec.group.as_deref(), groups)
            .map_err(|error| failure::account(exec, error))?;
        if !switch {
            // Another spawner may have been first: with the same answer.
            let _already_known = self.own_account.set(account.clone());
        }
        Ok(account)
    }

    /// The socket that the process reports to, for the user that it runs as.
    fn notify_socket(&self, info: &RunInfo, account: &Resolved) -> Result<NotifySocket, SpawnFailure> {
        let (dir, id) = (&self.notify_dir, info.spec.id.to_string());
        NotifySocket::bind(dir, &id, account.credentials.uid).map_err(|error| failure::notify(dir, &error))
    }

    fn spawn(
        &self,
        launcher: &mut dyn Launch,
        info: &RunInfo,
        prepared: Prepared,
        at: &Cell<SpawnStage>,
    ) -> Result<Born, SpawnFailure> {
        let Prepared { account, switch, program, path, working_dir, stdio, attach, notify } = prepared;
        at.set(SpawnStage::Cgroup);
        let leaf_name = leaf_name(info);
        let leaf = self.delegated.as_ref().map(|d| d.leaf(&leaf_name)).transpose();
        let mut nest = Nest(leaf.map_err(|error| failure::cgroup(&leaf_name, &error))?);
        at.set(SpawnStage::ResourceLimits);
        // Before anything is born in it.
        let wanted = info.spec.limits;
        let degraded =
            limits::apply(self.delegated.as_deref(), &leaf_name, &ResourceLimits::default(), &wanted)?;
        let isolation = limits::isolation(&info.spec.exec.isolation);
        let request = Request {
            program: &program,
            stdio: Stdio { stdin: stdio.stdin, stdout: stdio.stdout, stderr: stdio.stderr },
            working_dir: Some(&working_dir),
            credentials: switch.then_some(&account.credentials),
            umask: info.spec.exec.umask.unwrap_or(UMASK),
            cgroup: nest.0.as_ref().map(Leaf::dir),
            isolation: &isolation,
        };
        at.set(SpawnStage::Clone);
        let child = launcher.launch(request).map_err(|error| {
            let (exec, task) = (&info.spec.exec, Task::of(info));
            failure::explain(&error, &Attempt { exec, task, account: &account, path: &path })
        })?;
        let pid = child.pid;
        // The process runs: it must be reported, whatever happens to its log.
        let _panicked = catch_unwind(AssertUnwindSafe(|| attach(pid)));
        let limited = Limited { limits: wanted, degraded };
        Ok(Born { child, uid: account.credentials.uid, leaf: nest.0.take(), notify, limited })
    }
}

/// The cgroup of a run, or of a helper: apart from that of the run that it helps.
pub(super) fn leaf_name(info: &RunInfo) -> String {
    let id = info.helper.as_ref().map_or(info.invocation, |helper| helper.id);
    containment::leaf_name(&info.spec.name, id)
}

fn c_path(path: &Path) -> Result<CString, SpawnFailure> {
    c_string(path.as_os_str().as_bytes())
}

fn c_string(bytes: &[u8]) -> Result<CString, SpawnFailure> {
    CString::new(bytes).map_err(|_| failure::nul(bytes))
}

/// One entry of the environment. A failure names it without its value, which may be a secret.
fn variable(name: &OsStr, value: &OsStr) -> Result<CString, SpawnFailure> {
    let name = name.as_bytes();
    CString::new([name, b"=", value.as_bytes()].concat()).map_err(|_| failure::nul(name))
}

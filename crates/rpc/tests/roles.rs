//! Every role against every method over a real socket with real credentials of another process.
//!
//! The program re-executes itself: as nobody when it runs as root, else as the same user. The roles of that user are
//! then a matter of the daemon's configuration, so every cell is tested with credentials that the kernel vouches for.

#![expect(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test, with a part of the support"
)]

#[path = "it/support.rs"]
mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rpc::{Client, ClientError, Config, Create, Method, Role, Target, v1};
use support::{Daemon, PATIENCE, name};

const SOCKET: &str = "ROLES_TEST_SOCKET";
const NOBODY: u32 = 65_534;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match std::env::var_os(SOCKET) {
        Some(socket) => runtime.block_on(call_everything(Path::new(&socket))),
        None => {
            runtime.block_on(matrix());
            println!("test every_cell_with_real_credentials ... ok");
        }
    }
}

/// Calls each method and prints its name when it was allowed. A call that fails for another reason than the role
/// counts as allowed: it got past the table.
async fn call_everything(socket: &Path) {
    let mut client = Client::connect(&Target::Unix(socket.to_owned()), PATIENCE).await.unwrap();
    for (method, _) in Method::TABLE {
        let result = match method {
            Method::ListProcesses => client.list(v1::ProcessView::Basic).await.map(drop),
            Method::GetProcess => client.get("web").await.map(drop),
            Method::CreateProcess => {
                let definition = model::Definition::default();
                client
                    .create(Create { name: name("new"), definition, start: false, dry_run: false })
                    .await
                    .map(drop)
            }
            Method::StartProcess => client.start("web").await.map(drop),
            Method::StopProcess => client.stop("web").await.map(drop),
            Method::RestartProcess => client.restart("web").await.map(drop),
            Method::ReloadProcess => client.reload_process("web").await.map(drop),
            Method::SignalProcess => client.signal("web", "HUP", false).await.map(drop),
            Method::ResetProcess => client.reset("web").await.map(drop),
            Method::UpdateProcess => {
                let definition = model::Definition { critical: Some(true), ..Default::default() };
                client.update("web", definition, Vec::new(), false).await.map(drop)
            }
            Method::GetFragments => client.fragments("web").await.map(drop),
            Method::GetOverride => client.override_text("web").await.map(drop),
            Method::SetOverride => client.set_override("web", String::new(), false).await.map(drop),
            Method::DeleteProcess => client.delete("twin").await.map(drop),
            Method::ReloadConfig => client.reload(false).await.map(drop),
            Method::GetStatus => client.status().await.map(drop),
            Method::StreamLogs => {
                let request = v1::StreamLogsRequest { name: "web".into(), ..Default::default() };
                client.logs(request).await.map(drop)
            }
            Method::ReopenLogs => client.reopen_logs().await,
            Method::WatchEvents => client.events(v1::WatchEventsRequest::default()).await.map(drop),
            Method::WaitProcess => client.wait("web", v1::WaitCondition::Ready).await.map(drop),
            Method::ListStats => client.stats(Vec::new(), true).await.map(drop),
            Method::EnableProcess => client.enable("web").await.map(drop),
            Method::DisableProcess => client.disable("web").await.map(drop),
            Method::RotateToken => match client.rotate_token().await {
                // Past the table, and not there yet.
                Err(ClientError::Rejected(r)) if r.code == tonic::Code::Unimplemented => Ok(()),
                other => other.map(drop),
            },
        };
        match result {
            Ok(()) => println!("{}", method.as_str()),
            Err(ClientError::Rejected(r)) if r.reason == "ROLE_TOO_LOW" => {
                assert!(r.message.contains("over the Unix socket") && r.hint.is_some(), "{r:?}");
            }
            Err(other) => panic!("{}: {other}", method.as_str()),
        }
    }
}

async fn matrix() {
    let (uid, gid) = match nix::unistd::geteuid().as_raw() {
        0 => (NOBODY, NOBODY),
        own => (own, nix::unistd::getegid().as_raw()),
    };
    for role in Role::ALL {
        let configure = |config: &mut Config| {
            (config.daemon_uid, config.operators) = match role {
                Role::Admin => (uid, None),
                Role::Operator => (uid + 1, Some(gid)),
                // A group that exists and that the user is not in.
                Role::Viewer => (uid + 1, Some(4_000_000_000)),
            };
        };
        let daemon = Daemon::with(configure).await;
        let allowed = as_other(uid, gid, &daemon).await;
        let expected: Vec<&str> = Method::TABLE
            .iter()
            .filter(|(_, needs)| role >= *needs)
            .map(|(method, _)| method.as_str())
            .collect();
        assert_eq!(allowed, expected, "as {role}");
    }
}

async fn as_other(uid: u32, gid: u32, daemon: &Daemon) -> Vec<String> {
    // The other user can neither enter a private temporary directory nor, perhaps, the build directory.
    fs::set_permissions(daemon.dir.path(), Permissions::from_mode(0o755)).unwrap();
    let program = daemon.dir.path().join("roles");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut command = Command::new(&program);
    command.env(SOCKET, &daemon.socket).current_dir("/");
    if nix::unistd::geteuid().is_root() {
        command.uid(uid).gid(gid);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

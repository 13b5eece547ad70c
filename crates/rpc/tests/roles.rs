//! Every role against every method: over the socket with credentials of other processes, over TCP with and without the
//! token, over TLS with each kind of certificate.
//!
//! The program re-executes itself as other users when it runs as root. Otherwise the credentials are its own, and the roles
//! are a matter of the daemon's configuration; what needs root is then named in the output.

#![expect(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test, with a part of the support"
)]

#[path = "it/keys.rs"]
mod keys;
#[path = "it/support.rs"]
mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use keys::Keys;
use rpc::{Client, ClientError, Config, Create, Method, Role, Target, v1};
use support::{Daemon, PATIENCE, name};
use tls::ClientAuth;

const SOCKET: &str = "ROLES_TEST_SOCKET";
const NOBODY: u32 = 65_534;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match std::env::var_os(SOCKET) {
        Some(socket) => {
            let allowed = runtime.block_on(call_everything(&Target::Unix(socket.into())));
            println!("{}", allowed.join("\n"));
        }
        None => {
            runtime.block_on(over_the_socket());
            println!("test every_cell_with_real_credentials ... ok");
            runtime.block_on(over_tcp());
            println!("test every_cell_over_tcp_with_and_without_the_token ... ok");
            runtime.block_on(over_tls());
            println!("test every_cell_over_tls_with_each_certificate ... ok");
        }
    }
}

/// Calls each method; the names of those that were allowed. A call that fails for another reason than the role counts as
/// allowed: it got past the table.
async fn call_everything(target: &Target) -> Vec<&'static str> {
    let mut client = Client::connect(target, PATIENCE).await.unwrap();
    let mut allowed = Vec::new();
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
            Method::DeleteProcess => client.delete("twin", true).await.map(drop),
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
            Method::RotateToken => client.rotate_token().await.map(drop),
        };
        match result {
            Ok(()) => allowed.push(method.as_str()),
            Err(ClientError::Rejected(r)) if r.reason == "ROLE_TOO_LOW" => {
                assert!(r.message.starts_with("you are ") && r.hint.is_some(), "{r:?}");
            }
            Err(other) => panic!("{}: {other}", method.as_str()),
        }
    }
    allowed
}

fn cells(role: Role) -> Vec<&'static str> {
    Method::TABLE.iter().filter(|(_, needs)| role >= *needs).map(|(method, _)| method.as_str()).collect()
}

/// Who calls, how the daemon is configured (its own uid, its operators' group), and what follows.
struct Case {
    caller: (u32, u32),
    daemon_uid: u32,
    operators: Option<u32>,
    role: Role,
}

/// Ids that no system gives out.
const UNKNOWN: u32 = 4_000_000_001;

fn cases() -> Vec<Case> {
    let root = nix::unistd::geteuid().is_root();
    let (uid, gid) = if root {
        (NOBODY, NOBODY)
    } else {
        (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw())
    };
    let case = |caller, daemon_uid, operators, role| Case { caller, daemon_uid, operators, role };
    let mut cases = vec![
        case((uid, gid), uid, None, Role::Admin),
        case((uid, gid), uid + 1, Some(gid), Role::Operator),
        case((uid, gid), uid + 1, Some(UNKNOWN), Role::Viewer),
        case((uid, gid), uid + 1, None, Role::Viewer),
    ];
    if !root {
        println!(
            "callers who are root, unknown, or members by the user database alone: only as root, not tried"
        );
        return cases;
    }
    let own_group = nix::unistd::User::from_uid(NOBODY.into()).unwrap().map(|user| user.gid.as_raw());
    let own_group = own_group.expect("a user database that knows nobody");
    cases.extend([
        case((0, 0), UNKNOWN, None, Role::Admin),
        case((0, 0), UNKNOWN, Some(gid), Role::Admin),
        // By the kernel it has another group, by the user database it is a member.
        case((NOBODY, UNKNOWN), UNKNOWN, Some(own_group), Role::Operator),
        // Whom the database doesn't know.
        case((UNKNOWN, UNKNOWN), NOBODY, Some(own_group), Role::Viewer),
        case((UNKNOWN, own_group), NOBODY, Some(own_group), Role::Operator),
    ]);
    cases
}

async fn over_the_socket() {
    for Case { caller, daemon_uid, operators, role } in cases() {
        let configure = |config: &mut Config| (config.daemon_uid, config.operators) = (daemon_uid, operators);
        let daemon = Daemon::with(configure).await;
        let allowed = as_other(caller.0, caller.1, &daemon).await;
        assert_eq!(
            allowed,
            cells(role),
            "{caller:?} with the daemon's uid {daemon_uid} and group {operators:?}"
        );
    }
}

async fn over_tcp() {
    for token_role in [Role::Operator, Role::Admin] {
        for (presents, role) in [(false, Role::Viewer), (true, token_role)] {
            let daemon = Daemon::with(|config| config.token_role = token_role).await;
            let token = presents.then(|| daemon.token.clone());
            let target = Target::Tcp(daemon.port().to_string(), token);
            assert_eq!(call_everything(&target).await, cells(role), "{token_role} {presents}");
        }
    }
}

async fn over_tls() {
    let keys = Keys::new();
    for (units, presents, role) in [
        (None, false, Role::Viewer),
        (None, true, Role::Operator),
        (Some(&[][..]), false, Role::Viewer),
        (Some(&["viewer"]), false, Role::Viewer),
        (Some(&["operator"]), false, Role::Operator),
        (Some(&["admin"]), false, Role::Admin),
        (Some(&["viewer"]), true, Role::Operator),
        (Some(&["admin"]), true, Role::Admin),
    ] {
        let daemon = Daemon::with(|config| config.tls = Some(keys.live(ClientAuth::Optional))).await;
        let files = match units {
            None => keys.stranger(),
            Some(units) => keys.client("ada", &keys.authority.client("ada", units)),
        };
        let target = Target::Tls(daemon.port().to_string(), presents.then(|| daemon.token.clone()), files);
        assert_eq!(call_everything(&target).await, cells(role), "{units:?} {presents}");
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

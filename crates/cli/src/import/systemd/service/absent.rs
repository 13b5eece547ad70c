//! Keys of units that nothing stands for: why, and what to do.

use crate::import::draft::Import;
use crate::import::systemd::unit::Assignment;

/// Says that it is not carried over.
pub(super) fn say(from: &Assignment, into: &mut Import) {
    let (why, instead) = reason(&from.key);
    into.lost(&from.at, &from.written(), why, instead);
}

const SANDBOX: &str = "processes are not put into a sandbox";
const UNIT: &str =
    "what holds for all processes can stand in the daemon's own unit: systemctl edit dd-procmgrd";

fn reason(key: &str) -> (&'static str, &'static str) {
    let of = |starts: &[&str]| starts.iter().any(|start| key.starts_with(start));
    match key {
        "RuntimeDirectoryPreserve" => {
            ("a runtime directory ends with its run", "use a directory of the process's own")
        }
        "StateDirectory" | "CacheDirectory" | "LogsDirectory" | "ConfigurationDirectory" => {
            ("no such directory is made", "make it with `exec_start_pre`: install -d -o USER PATH")
        }
        "DynamicUser" => ("no user is made up", "make one: useradd --system NAME, then `user: NAME`"),
        "OnFailure" | "OnSuccess" => (
            "nothing is started by the end of another process",
            "watch the events: `journalctl EVENT=exited`, or the metrics",
        ),
        "Sockets" | "FileDescriptorStoreMax" => {
            ("no descriptors are handed to processes", "let the program open its own")
        }
        "RestartForceExitStatus" => ("no status forces a restart", "`restart: always` restarts after each"),
        "RestartSteps" => {
            ("the delay doubles with each failure in a row", "`restart_max_delay_sec` is its end")
        }
        "RuntimeMaxSec" => ("a run has no longest time", "start the command with timeout(1)"),
        "BusName" => ("nobody waits for a name on the bus", "with sd_notify: `type: notify`"),
        "UnsetEnvironment" => {
            ("the environment is clean, there is nothing to unset", "don't name it in `inherit_env`")
        }
        "WatchdogSignal"
        | "FinalKillSignal"
        | "RestartKillSignal"
        | "TimeoutAbortSec"
        | "TimeoutStartFailureMode"
        | "TimeoutStopFailureMode"
        | "TimeoutCleanSec" => ("a run is ended by `kill_signal` and, after `stop_timeout`, SIGKILL", ""),
        "StandardInput" | "StandardInputText" | "StandardInputData" => ("standard input is /dev/null", ""),
        "NotifyAccess" => ("it is for `type: notify`", "whatever runs in the process may notify"),
        "StartLimitAction" | "FailureAction" | "SuccessAction" | "RebootArgument" | "JobTimeoutSec" => {
            ("a process reboots nothing", "")
        }
        "RequiresMountsFor" | "WantsMountsFor" => (
            "only processes can be named",
            "tie the daemon's own unit to the mount: systemctl edit dd-procmgrd",
        ),
        "MemoryDenyWriteExecute" => (SANDBOX, UNIT),
        "RootDirectory" | "RootImage" => (SANDBOX, "start the command with chroot(8) or in a container"),
        _ if of(&["Limit"]) => ("it is no limit of the kernel", ""),
        _ if of(&[
            "Memory",
            "CPU",
            "Tasks",
            "IO",
            "Slice",
            "Delegate",
            "AllowedCPUs",
            "AllowedMemory",
            "StartupCPU",
        ]) =>
        {
            ("nothing of `resource_limits` does this", "see docs/LIMITS.md")
        }
        _ if of(&[
            "Protect",
            "Private",
            "Restrict",
            "SystemCall",
            "Capability",
            "Read",
            "Inaccessible",
            "Lock",
            "Bind",
            "Temporary",
            "NoExec",
            "Exec",
            "SecureBits",
            "Keyring",
            "Device",
            "IP",
            "RemoveIPC",
            "SELinux",
            "AppArmor",
            "Proc",
            "Mount",
            "Network",
            "Load",
            "SetCredential",
            "Import",
        ]) =>
        {
            (SANDBOX, UNIT)
        }
        _ => ("dd-procmgrd has nothing that does this", ""),
    }
}

//! Where a daemon that is started by this user, in this environment, would look for its definitions.

use std::path::{Path, PathBuf};

use config::Layout;

use crate::FAILED;
use crate::context::Context;
use crate::report::Failure;

const NAME: &str = "dd-procmgrd";

/// The same rules as the daemon's own settings have.
pub(in crate::verb) fn layout(context: &Context) -> Result<Layout, Failure> {
    // systemd may give several directories, separated by colons; the first one counts.
    let given = |name: &str| {
        context.var(name).map(|value| PathBuf::from(value.split(':').next().unwrap_or_default()))
    };
    let system = context.uid == 0;
    let base = |variable: &str, below_home: &str| -> Result<PathBuf, Failure> {
        let own = context.var(variable).map(PathBuf::from);
        own.or_else(|| Some(Path::new(context.var("HOME")?).join(below_home))).ok_or_else(|| {
            Failure::new(FAILED, format!("neither {variable} nor HOME is set"))
                .with_hint("set HOME, or name a file")
        })
    };
    let (config, state, logs) = match system {
        true => {
            (Path::new("/etc").join(NAME), Path::new("/var/lib").join(NAME), Path::new("/var/log").join(NAME))
        }
        false => {
            let state = base("XDG_STATE_HOME", ".local/share")?.join(NAME);
            (base("XDG_CONFIG_HOME", ".config")?.join(NAME), state.clone(), state.join("logs"))
        }
    };
    let config = given("CONFIGURATION_DIRECTORY").unwrap_or(config);
    let main = match context.var("PM_CONFIG_PATH") {
        Some(path) => context.cwd.join(path),
        None => config.join("processes.yaml"),
    };
    let beside = main.parent().unwrap_or(Path::new("/")).to_path_buf();
    Ok(Layout {
        package_dir: PathBuf::from("/usr/lib/dd-procmgrd/processes.d"),
        admin_dir: beside.join("processes.d"),
        overrides_dir: beside.join("overrides.d"),
        runtime_dir: given("STATE_DIRECTORY").unwrap_or(state).join("processes.d"),
        log_dir: given("LOGS_DIRECTORY").unwrap_or(logs),
        main,
    })
}

//! A layout below one directory.

use std::path::Path;

use config::Layout;

/// `input.yaml` is the main file, and the directories of the other layers stand beside it.
pub(crate) fn layout(dir: &Path) -> Layout {
    Layout {
        package_dir: dir.join("package.d"),
        main: dir.join("input.yaml"),
        admin_dir: dir.join("processes.d"),
        overrides_dir: dir.join("overrides.d"),
        runtime_dir: dir.join("runtime"),
        log_dir: "/var/log/dd-procmgrd".into(),
    }
}

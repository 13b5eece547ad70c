//! The archive for other distributions: static programs, and a script that puts everything in place.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::contents::Tree;
use super::source::{STATIC, Source, output};

/// Makes the archive; its path.
pub(super) fn make(source: &Source) -> Result<PathBuf> {
    let name = format!("dd-procmgrd-{}-{STATIC}", source.version);
    let parent = source.fresh("tarball")?;
    let tree = Tree { source, dir: parent.join(&name) };
    let programs = source.programs(Some(STATIC));
    std::fs::create_dir(&tree.dir)?;
    tree.put_shared("", &programs)?;
    tree.put(&source.root.join("packaging/install.sh"), "install.sh", 0o755)?;
    tree.put_all(&source.root.join("systemd"), "systemd")?;
    for file in ["processes.yaml", "daemon.env"] {
        tree.put(&source.root.join("packaging").join(file), &format!("etc/{file}"), 0o644)?;
    }
    tree.settle()?;

    let archive = source.output()?.join(format!("{name}.tar.gz"));
    let script = r#"tar --create --sort=name --owner=0 --group=0 --numeric-owner --directory="$1" "$2" | gzip -9n > "$3""#;
    let mut shell = Command::new("sh");
    output(shell.args(["-c", script, "sh"]).arg(&parent).arg(&name).arg(&archive))?;
    Ok(archive)
}

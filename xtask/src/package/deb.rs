//! The Debian package, made with dpkg-deb (see docs/adr/0027-packages.md).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::contents::Tree;
use super::source::{Source, output};

/// Source below packaging/ or systemd/, path in the package, mode. Definitions may hold secrets.
const FILES: [(&str, &str, u32); 14] = [
    ("packaging/processes.yaml", "etc/dd-procmgrd/processes.yaml", 0o640),
    ("packaging/daemon.env", "etc/dd-procmgrd/daemon.env", 0o640),
    ("packaging/needrestart.conf", "etc/needrestart/conf.d/dd-procmgrd.conf", 0o644),
    ("packaging/sysusers.conf", "usr/lib/sysusers.d/dd-procmgrd.conf", 0o644),
    ("packaging/tmpfiles.conf", "usr/lib/tmpfiles.d/dd-procmgrd.conf", 0o644),
    ("packaging/debian/copyright", "usr/share/doc/dd-procmgrd/copyright", 0o644),
    ("packaging/debian/lintian-overrides", "usr/share/lintian/overrides/dd-procmgrd", 0o644),
    ("systemd/dd-procmgrd.service", "usr/lib/systemd/system/dd-procmgrd.service", 0o644),
    ("systemd/dd-procmgrd.catalog", "usr/lib/systemd/catalog/dd-procmgrd.catalog", 0o644),
    (
        "systemd/dd-procmgrd-capability.service",
        "usr/share/dd-procmgrd/systemd/dd-procmgrd-capability.service",
        0o644,
    ),
    ("systemd/dd-procmgrd-secure.service", "usr/share/dd-procmgrd/systemd/dd-procmgrd-secure.service", 0o644),
    ("systemd/dd-procmgrd.socket", "usr/share/dd-procmgrd/systemd/dd-procmgrd.socket", 0o644),
    ("systemd/dd-procmgrd-socket.conf", "usr/share/dd-procmgrd/systemd/dd-procmgrd-socket.conf", 0o644),
    ("packaging/debian/conffiles", "DEBIAN/conffiles", 0o644),
];

const SCRIPTS: [&str; 4] = ["preinst", "postinst", "prerm", "postrm"];

/// Makes the package from the programs in a directory; its path.
pub(super) fn make(source: &Source, programs: &Path) -> Result<PathBuf> {
    let tree = Tree { source, dir: source.fresh("deb")? };
    let arch = output(Command::new("dpkg").arg("--print-architecture"))?.trim().to_owned();
    tree.put_shared("usr", programs)?;
    // Debian has the text of this license in one place.
    fs::remove_file(tree.dir.join("usr/share/doc/dd-procmgrd/LICENSE"))?;
    for (from, to, mode) in FILES {
        tree.put(&source.root.join(from), to, mode)?;
    }
    for script in SCRIPTS {
        tree.put(&source.root.join("packaging/debian").join(script), &format!("DEBIAN/{script}"), 0o755)?;
    }
    tree.write("usr/lib/systemd/user/dd-procmgrd.service", user_unit(source)?.as_bytes(), 0o644)?;
    fs::create_dir_all(tree.dir.join("usr/lib/dd-procmgrd/processes.d"))?;
    tree.write("usr/share/doc/dd-procmgrd/changelog", changelog(source)?.as_bytes(), 0o644)?;
    finish(&tree.dir)?;
    tree.write("DEBIAN/control", control(&tree, &arch)?.as_bytes(), 0o644)?;
    tree.write("DEBIAN/md5sums", sums(&tree.dir)?.as_bytes(), 0o644)?;
    tree.settle()?;
    fs::set_permissions(tree.dir.join("etc/dd-procmgrd"), fs::Permissions::from_mode(0o700))?;

    let package = source.output()?.join(format!("dd-procmgrd_{}_{arch}.deb", source.version));
    let mut build = Command::new("dpkg-deb");
    build.env("SOURCE_DATE_EPOCH", source.epoch.to_string());
    // Not zstd, which dpkg of Debian 11 can't read.
    build.args(["--root-owner-group", "-Zxz", "--build"]).args([&tree.dir, &package]);
    output(&mut build)?;
    Ok(package)
}

/// The user's unit with the program where the package has it.
fn user_unit(source: &Source) -> Result<String> {
    let path = source.root.join("systemd/dd-procmgrd-user.service");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(text.replace("ExecStart=%h/.local/bin/dd-procmgrd", "ExecStart=/usr/bin/dd-procmgrd"))
}

/// Debian's form, with one entry: what changed stands in the project's own file.
fn changelog(source: &Source) -> Result<String> {
    let mut date = Command::new("date");
    date.args(["--utc", "--rfc-email"]).arg(format!("--date=@{}", source.epoch)).env("LC_ALL", "C");
    let maintainer = field(&template(source)?, "Maintainer")?;
    Ok(format!(
        "dd-procmgrd ({}) unstable; urgency=medium\n\n  * See CHANGELOG.md of the project.\n\n -- {maintainer}  {}\n",
        source.version,
        output(&mut date)?.trim()
    ))
}

/// What Debian's policy wants: no symbols in programs, compressed pages, and a page for each name of a program.
fn finish(dir: &Path) -> Result<()> {
    let script = r#"set -e
        strip --strip-unneeded --remove-section=.comment "$1/usr/bin/dd-procmgrd" "$1/usr/bin/pm-cli"
        gzip -9n "$1/usr/share/doc/dd-procmgrd/changelog"
        if [ -d "$1/usr/share/man" ]; then find "$1/usr/share/man" -type f -exec gzip -9n {} +; fi
        if [ -e "$1/usr/share/man/man1/pm-cli.1.gz" ]; then
            ln -s pm-cli.1.gz "$1/usr/share/man/man1/dd-procmgr-cli.1.gz"
        fi"#;
    output(Command::new("sh").args(["-c", script, "sh"]).arg(dir)).map(drop)
}

fn template(source: &Source) -> Result<String> {
    let path = source.root.join("packaging/debian/control.in");
    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

fn field(control: &str, name: &str) -> Result<String> {
    let line = control.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    Ok(line.with_context(|| format!("packaging/debian/control.in has no {name}"))?.to_owned())
}

fn control(tree: &Tree<'_>, arch: &str) -> Result<String> {
    let size = output(
        Command::new("du").args(["--summarize", "--apparent-size", "--block-size=1K"]).arg(&tree.dir),
    )?;
    let size = size.split_whitespace().next().unwrap_or("0");
    let values = [("@VERSION@", tree.source.version.as_str()), ("@ARCH@", arch), ("@SIZE@", size)];
    let text = values.iter().fold(template(tree.source)?, |text, (name, value)| text.replace(name, value));
    Ok(text.replace("@DEPENDS@", &libraries(tree)?))
}

/// The shared libraries that the programs need, as dpkg-shlibdeps finds them.
fn libraries(tree: &Tree<'_>) -> Result<String> {
    // It wants to be called in a source package.
    let place = tree.source.fresh("shlibdeps")?;
    fs::create_dir(place.join("debian"))?;
    fs::write(
        place.join("debian/control"),
        "Source: dd-procmgrd\n\nPackage: dd-procmgrd\nArchitecture: any\n",
    )?;
    let mut tool = Command::new("dpkg-shlibdeps");
    tool.arg("-O").current_dir(&place);
    tool.args(["dd-procmgrd", "pm-cli"].map(|name| tree.dir.join("usr/bin").join(name)));
    let said = output(&mut tool).context("dpkg-shlibdeps is in the package dpkg-dev")?;
    let depends = said.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    Ok(depends.with_context(|| format!("dpkg-shlibdeps named no library:\n{said}"))?.to_owned())
}

/// For `dpkg --verify`.
fn sums(dir: &Path) -> Result<String> {
    let script = r#"cd "$1" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum"#;
    output(Command::new("sh").args(["-c", script, "sh"]).arg(dir))
}

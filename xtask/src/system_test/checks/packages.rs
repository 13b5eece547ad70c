//! What `cargo xtask package` makes: the .deb from installation to purge, the archive with install.sh, and the root of the
//! container images with the daemon as PID 1. In containers of their own: `cargo xtask system-test --packages`.

use anyhow::{Context as _, Result, ensure};

use super::{Check, check, documents, essential, guide};
use crate::system_test::bed::Bed;

/// Of the package, which the release build of this machine is enough for.
pub(crate) static DEB: [Check; 9] = [
    essential("package", "dpkg -i installs, enables and starts", install),
    check("package", "what is installed is as it should be", contents),
    check("docs/INSTALL.md", "the commands for the package and its units, as typed", as_typed),
    check("package", "an upgrade keeps files, definitions and every process running", upgrade),
    check("package", "who disabled or stopped it finds it so after an upgrade", switched_off),
    check("watchdog", "a daemon that hangs is ended and comes back; one that stops slowly is not", watchdog),
    check("package", "the capability unit by a link, with file capabilities or without", capability),
    check("package", "the hardened unit by a link, and pm-cli edit in it", secure),
    check("package", "remove keeps what is configured, purge removes what the daemon wrote", remove),
];

/// Of what has static programs in it.
pub(crate) static STATIC: [Check; 3] = [
    check("archive", "install.sh from installation to purge", archive),
    check("archive", "install.sh --user", archive_of_a_user),
    check("image", "the static daemon as PID 1 of its image, as root and as nobody special", image),
];

/// A shell pattern of the one package that was made.
const FILES: &str = "/src/target/package/dd-procmgrd_*.deb";

const FILE: &str = "/etc/dd-procmgrd/processes.yaml";

/// Figures of `systemd-analyze security`, times ten. They are promises; a check that fails here is a unit that got weaker.
pub(super) fn exposure(bed: &Bed) -> Result<()> {
    for (unit, most) in [("secure", 35), ("capability", 40)] {
        let file = format!("/src/systemd/dd-procmgrd-{unit}.service");
        let done = bed.try_sh(&format!(
            "systemd-analyze security --no-pager --offline=yes --threshold={most} {file}"
        ))?;
        let last = done.stdout.lines().last().unwrap_or_default();
        ensure!(done.code == 0 && last.contains("Overall exposure level"), "more than {most}: {done}");
    }
    Ok(())
}

fn install(bed: &Bed) -> Result<()> {
    bed.sh(&format!("ls {FILES}")).context("`cargo xtask package --deb` makes it")?;
    bed.sh(&format!("dpkg -i {FILES}"))?;
    let shown = bed.sh("systemctl is-enabled dd-procmgrd; systemctl is-active dd-procmgrd")?;
    ensure!(shown == "enabled\nactive\n", "{shown}");
    for name in ["pm-cli", "dd-procmgr-cli"] {
        bed.sh(&format!("{name} list"))?;
    }
    ensure!(bed.list()?.is_empty(), "a fresh installation runs something");
    // Over a daemon that is not there any more.
    bed.sh("pm-cli create test sleep 10 --auto-start && pm-cli delete test").map(drop)
}

fn contents(bed: &Bed) -> Result<()> {
    let verified = bed.sh("dpkg --verify dd-procmgrd | grep -v /usr/share/doc || true")?;
    // The image of the test leaves pages out.
    let verified: Vec<&str> = verified.lines().filter(|line| !line.contains("/usr/share/man")).collect();
    ensure!(verified.is_empty(), "{verified:?}");
    bed.sh("getent group dd-procmgrd && getent passwd dd-procmgrd")?;
    let modes =
        bed.sh(&format!("stat --format='%a %U:%G %n' /etc/dd-procmgrd {FILE} /run/dd-procmgrd/token"))?;
    let wanted = "700 root:root /etc/dd-procmgrd\n640 root:root /etc/dd-procmgrd/processes.yaml\n640 root:dd-procmgrd /run/dd-procmgrd/token\n";
    ensure!(modes == wanted, "{modes}");
    let units = "/usr/lib/systemd/system/dd-procmgrd.service /usr/share/dd-procmgrd/systemd/*.service";
    let said = bed.try_sh(&format!("systemd-analyze verify --man=no {units}"))?;
    ensure!(said.code == 0 && said.stderr.is_empty(), "{said}");
    bed.sh("dd-procmgrd --check")?;
    bed.wait("the message catalog", || {
        let known = bed.try_sh("journalctl --list-catalog | grep -c dd-procmgrd")?;
        Ok((known.code == 0).then_some(()))
    })?;
    bed.sh("test -e /usr/share/dd-procmgrd/alerts/ddprocmgr.yml && test -e /usr/share/dd-procmgrd/grafana/overview.json")?;
    bed.sh("dd-procmgrd --check --config /usr/share/dd-procmgrd/examples/processes.yaml").map(drop)
}

/// What docs/INSTALL.md says to whoever has the package, up to its removal.
fn as_typed(bed: &Bed) -> Result<()> {
    guide::checkout(bed, "processes: {}")?;
    guide::users(bed)?;
    bed.sh("ln -s /bin/true /usr/local/bin/editor")?;
    let result = (|| {
        documents::type_install(bed, "sam", "## Debian package", "sudo dpkg --remove dd-procmgrd")?;
        documents::type_install(bed, "sam", "### Capabilities", "")?;
        let owner = "stat --format=%U /proc/$(systemctl show --value --property=MainPID dd-procmgrd)";
        ensure!(bed.sh(owner)? == "dd-procmgrd\n", "not the capability unit");
        documents::type_install(bed, "sam", "### Hardened", "")?;
        ensure!(bed.sh(owner)? == "root\n", "not the hardened unit");
        documents::type_install(bed, "sam", "## Rotation", "")?;
        bed.sh("pm-cli create printer echo line --auto-start")?;
        bed.wait("its line", || Ok((bed.sh("pm-cli logs printer")? == "line\n").then_some(())))?;
        bed.sh("logrotate --force /etc/logrotate.d/dd-procmgrd && pm-cli delete printer")?;
        bed.sh("test -s /var/log/dd-procmgrd/printer.log.1 && rm /var/log/dd-procmgrd/printer.log*")
    })();
    bed.sh("rm -rf /etc/logrotate.d/dd-procmgrd /etc/dd-procmgrd/overrides.d /tmp/test-cap.log")?;
    // The last check looks for whatever has the daemon's name.
    bed.sh(&format!("rm -rf {}", guide::CHECKOUT))?;
    bed.sh("chgrp -R root /etc/dd-procmgrd && chmod 700 /etc/dd-procmgrd")?;
    unlink(bed)?;
    result.map(drop)
}

/// The pid of the daemon, and those of its processes.
fn pids(bed: &Bed) -> Result<(String, u32, u32)> {
    let daemon = bed.sh("systemctl show --value --property=MainPID dd-procmgrd")?;
    Ok((daemon.trim().to_owned(), bed.pid("kept")?, bed.pid("stored")?))
}

/// A package with a higher version whose conffiles are different.
fn next(bed: &Bed, version: &str) -> Result<String> {
    let path = format!("/tmp/next-{version}.deb");
    bed.sh(&format!(
        "rm -rf /tmp/next && dpkg-deb --raw-extract {FILES} /tmp/next && cd /tmp/next && \
         sed -i 's/^Version: .*/&+{version}/' DEBIAN/control && \
         echo '# {version}' | tee -a etc/dd-procmgrd/processes.yaml >> etc/dd-procmgrd/daemon.env && \
         dpkg-deb -Zgzip --build /tmp/next {path}"
    ))?;
    Ok(path)
}

fn upgrade(bed: &Bed) -> Result<()> {
    bed.write(FILE, "processes:\n  kept:\n    command: sleep 7001\n    restart: always")?;
    bed.sh("systemctl reload dd-procmgrd && pm-cli create stored sleep 7002 --auto-start")?;
    let before = pids(bed)?;
    let package = next(bed, "second")?;
    let said = bed.sh(&format!("dpkg --force-confdef --force-confold -i {package}"))?;
    ensure!(said.contains("systemctl restart dd-procmgrd"), "the way to change over is not told:\n{said}");
    let after = pids(bed)?;
    ensure!(before == after, "restarted: {before:?}, then {after:?}");
    let exe = bed.sh(&format!("readlink /proc/{}/exe", after.0))?;
    ensure!(exe.contains("(deleted)"), "the program was not replaced: {exe}");
    let files = bed.sh(&format!("cat {FILE} /etc/dd-procmgrd/daemon.env; ls /etc/dd-procmgrd"))?;
    ensure!(files.contains("sleep 7001"), "a changed conffile was replaced:\n{files}");
    ensure!(files.contains("# second"), "a conffile that nobody changed stayed old:\n{files}");
    ensure!(files.contains("processes.yaml.dpkg-dist"), "the new one is not beside it:\n{files}");

    bed.sh("systemctl restart dd-procmgrd")?;
    let renewed = pids(bed)?;
    ensure!(renewed.0 != after.0, "still the old daemon");
    let exe = bed.sh(&format!("readlink /proc/{}/exe", renewed.0))?;
    ensure!(exe == "/usr/bin/dd-procmgrd\n", "{exe}");
    Ok(())
}

fn switched_off(bed: &Bed) -> Result<()> {
    bed.sh("systemctl disable --quiet --now dd-procmgrd")?;
    let package = next(bed, "third")?;
    bed.sh(&format!("dpkg --force-confdef --force-confold -i {package}"))?;
    let shown = bed.try_sh("systemctl is-enabled dd-procmgrd; systemctl is-active dd-procmgrd")?.stdout;
    bed.sh("systemctl enable --quiet --now dd-procmgrd")?;
    ensure!(shown == "disabled\ninactive\n", "{shown}");
    ensure!(pids(bed).is_ok(), "definitions are gone");
    Ok(())
}

fn watchdog(bed: &Bed) -> Result<()> {
    const DROP_IN: &str = "/run/systemd/system/dd-procmgrd.service.d";
    bed.sh(&format!("mkdir -p {DROP_IN}"))?;
    bed.write(&format!("{DROP_IN}/watchdog.conf"), "[Service]\nWatchdogSec=2\nTimeoutAbortSec=2")?;
    bed.sh("systemctl daemon-reload && systemctl restart dd-procmgrd")?;
    // Feeding it works, also while a process takes longer to stop than the watchdog waits.
    let stubborn = r#"trap "" TERM; while :; do sleep 0.1; done"#;
    bed.sh(&format!("pm-cli create stubborn sh -c '{stubborn}' --stop-timeout 5 --auto-start"))?;
    let before = pids(bed)?;
    bed.sh("systemctl stop dd-procmgrd")?;
    let result = bed.sh("systemctl show --value --property=Result dd-procmgrd")?;
    ensure!(result.trim() == "success", "a slow stop was taken for a hang: {result}");

    bed.sh("systemctl start dd-procmgrd && pm-cli delete stubborn")?;
    let hanging = pids(bed)?;
    ensure!(hanging.0 != before.0, "it was not stopped");
    bed.sh(&format!("kill -STOP {}", hanging.0))?;
    bed.wait("systemd to end it and start another one", || {
        let shown = bed.sh("systemctl show --value --property=MainPID,ActiveState dd-procmgrd")?;
        Ok((!shown.contains(&hanging.0) && shown.contains("active\n") && !shown.contains("inactive"))
            .then_some(()))
    })?;
    bed.wait("it to answer", || Ok((bed.try_sh("pm-cli list")?.code == 0).then_some(())))?;
    let renewed = pids(bed)?;
    ensure!(!bed.is_alive(hanging.1)? && renewed.1 != hanging.1, "two of one process");
    let said = bed.sh("journalctl --no-pager --output=cat --identifier=systemd")?;
    ensure!(said.contains("Watchdog timeout (limit 2s)"), "{said}");
    bed.sh(&format!("rm -r {DROP_IN} && systemctl daemon-reload && systemctl restart dd-procmgrd")).map(drop)
}

/// Another unit in the place of the usual one, as docs/INSTALL.md has it.
fn link(bed: &Bed, unit: &str) -> Result<()> {
    let from = format!("/usr/share/dd-procmgrd/systemd/dd-procmgrd-{unit}.service");
    bed.sh(&format!("ln -sf {from} /etc/systemd/system/dd-procmgrd.service"))?;
    bed.sh("systemctl daemon-reload && systemctl restart dd-procmgrd")?;
    let loaded = bed.sh("systemctl show --value --property=FragmentPath dd-procmgrd")?;
    ensure!(loaded.contains("/etc/systemd/system/"), "{loaded}");
    Ok(())
}

/// Back to the unit of the package.
fn unlink(bed: &Bed) -> Result<()> {
    bed.sh("rm -f /etc/systemd/system/dd-procmgrd.service && systemctl daemon-reload && systemctl restart dd-procmgrd")
        .map(drop)
}

/// The guide's check: a process of another user that writes where everybody can read it.
fn whoami(bed: &Bed) -> Result<()> {
    bed.sh("rm -f /tmp/test-cap.log")?;
    bed.sh("pm-cli create test-cap bash -c 'whoami' --user nobody --stdout /tmp/test-cap.log --auto-start")?;
    bed.wait("nobody in /tmp/test-cap.log", || {
        Ok((bed.try_sh("cat /tmp/test-cap.log")?.stdout == "nobody\n").then_some(()))
    })?;
    bed.sh("pm-cli delete test-cap && rm /tmp/test-cap.log").map(drop)
}

/// An override: the daemon writes it to /etc/dd-procmgrd/overrides.d.
fn edit(bed: &Bed, line: &str) -> Result<()> {
    bed.write("/tmp/editor", &format!("#!/bin/sh\necho '{line}' >> \"$1\""))?;
    bed.sh("chmod 755 /tmp/editor && EDITOR=/tmp/editor pm-cli edit kept")?;
    let file = bed.sh("cat /etc/dd-procmgrd/overrides.d/kept.yaml")?;
    ensure!(file.contains(line), "{file}");
    Ok(())
}

fn capability(bed: &Bed) -> Result<()> {
    let result = (|| {
        bed.sh("chgrp -R dd-procmgrd /etc/dd-procmgrd && chmod 750 /etc/dd-procmgrd")?;
        bed.sh("install -d -o dd-procmgrd -g dd-procmgrd -m 750 /etc/dd-procmgrd/overrides.d")?;
        link(bed, "capability")?;
        let daemon = pids(bed)?.0;
        let owner = bed.sh(&format!("stat --format=%U /proc/{daemon}"))?;
        ensure!(owner == "dd-procmgrd\n", "it runs as {owner}");
        whoami(bed)?;
        edit(bed, "description: edited")?;
        // As the guide has it, beside what the unit says.
        bed.sh("setcap cap_setuid,cap_setgid+ep /usr/bin/dd-procmgrd && systemctl restart dd-procmgrd")?;
        whoami(bed)
    })();
    bed.sh("setcap -r /usr/bin/dd-procmgrd || true")?;
    bed.sh("chgrp -R root /etc/dd-procmgrd && chown -R root /etc/dd-procmgrd && chmod 700 /etc/dd-procmgrd")?;
    unlink(bed)?;
    result
}

fn secure(bed: &Bed) -> Result<()> {
    let result = (|| {
        link(bed, "secure")?;
        let daemon = pids(bed)?.0;
        let status = bed.sh(&format!("cat /proc/{daemon}/status"))?;
        // CHOWN, SETGID and SETUID: bits 0, 6 and 7.
        ensure!(status.contains("CapEff:\t00000000000000c1"), "{status}");
        edit(bed, "stop_timeout: 7")?;
        // Started, heard, signalled and stopped without CAP_KILL and CAP_DAC_OVERRIDE.
        bed.sh("pm-cli create visitor sh -c 'id -un; exec sleep infinity' --user nobody --auto-start")?;
        let pid = bed.pid("visitor")?;
        bed.wait("its line", || Ok((bed.sh("pm-cli logs visitor")? == "nobody\n").then_some(())))?;
        bed.sh("pm-cli stop visitor && pm-cli delete visitor")?;
        ensure!(!bed.is_alive(pid)?, "{pid} is alive");
        Ok(())
    })();
    unlink(bed)?;
    result
}

fn remove(bed: &Bed) -> Result<()> {
    let before = pids(bed)?;
    bed.sh("dpkg --remove dd-procmgrd")?;
    for pid in [before.1, before.2] {
        ensure!(!bed.is_alive(pid)?, "{pid} is alive");
    }
    bed.sh(&format!("grep -q 7001 {FILE} && test -d /var/lib/dd-procmgrd && test -d /var/log/dd-procmgrd"))?;
    ensure!(bed.try_sh("command -v dd-procmgrd pm-cli dd-procmgr-cli")?.code != 0, "programs are left");
    // Back again, with everything: definitions in files and those of the API.
    bed.sh(&format!("dpkg --force-confold -i {FILES}"))?;
    pids(bed).context("after remove and install")?;

    bed.sh("mkdir -p /etc/dd-procmgrd/processes.d && touch /etc/dd-procmgrd/processes.d/mine.yaml")?;
    bed.sh("dpkg --purge dd-procmgrd")?;
    let left = bed.sh("find / -xdev -name '*dd-procmgr*' -not -path '/proc/*' -not -path '/src/*' -not -path '/var/log/journal/*' -not -path '/tmp/*'")?;
    ensure!(left.trim() == "/etc/dd-procmgrd", "left behind:\n{left}");
    let mine = bed.sh("find /etc/dd-procmgrd -type f")?;
    ensure!(mine.trim() == "/etc/dd-procmgrd/processes.d/mine.yaml", "{mine}");
    bed.sh("getent passwd dd-procmgrd && rm -r /etc/dd-procmgrd").map(drop)
}

const UNPACK: &str = "rm -rf /tmp/archive && mkdir /tmp/archive && cd /tmp/archive && \
                      tar --extract --gzip --strip-components=1 --file=$(echo /src/target/package/dd-procmgrd-*.tar.gz)";

fn archive(bed: &Bed) -> Result<()> {
    bed.sh(UNPACK)?;
    let wrong = bed.try_sh("/tmp/archive/install.sh --unit other")?;
    ensure!(wrong.code == 2 && wrong.stderr.contains("root, capability, secure or none"), "{wrong}");
    bed.sh("cd / && /tmp/archive/install.sh --prefix /opt/pm")?;
    bed.sh("systemctl enable --quiet --now dd-procmgrd && /opt/pm/bin/pm-cli create stored sleep 7002 --auto-start")?;
    let daemon = bed.sh("systemctl show --value --property=MainPID dd-procmgrd")?;
    let exe = bed.sh(&format!("readlink /proc/{}/exe", daemon.trim()))?;
    ensure!(exe == "/opt/pm/bin/dd-procmgrd\n", "{exe}");
    // A second time: an upgrade, which leaves the running daemon alone, and files that somebody changed.
    bed.sh("echo '# changed' >> /etc/dd-procmgrd/daemon.env")?;
    let said = bed.sh("/tmp/archive/install.sh --prefix /opt/pm")?;
    ensure!(said.contains("systemctl restart dd-procmgrd"), "{said}");
    ensure!(bed.sh("systemctl show --value --property=MainPID dd-procmgrd")? == daemon, "restarted");
    bed.sh("grep -q '# changed' /etc/dd-procmgrd/daemon.env")?;

    bed.sh("/opt/pm/share/dd-procmgrd/install.sh --uninstall --prefix /opt/pm")?;
    let left = bed.sh("find /opt/pm /etc/systemd/system /usr/lib/systemd/catalog -type f,l -name '*dd-procmgr*'; find /opt/pm -type f,l")?;
    ensure!(left.is_empty(), "left behind:\n{left}");
    ensure!(bed.try_sh("pgrep dd-procmgrd")?.code == 1, "it still runs");
    bed.sh("test -e /etc/dd-procmgrd/processes.yaml && test -d /var/lib/dd-procmgrd")?;
    bed.sh("/tmp/archive/install.sh --prefix /opt/pm && /opt/pm/share/dd-procmgrd/install.sh --uninstall --purge --prefix /opt/pm")?;
    ensure!(
        bed.try_sh("ls -d /etc/dd-procmgrd /var/lib/dd-procmgrd /var/log/dd-procmgrd")?.stdout.is_empty(),
        "not purged"
    );
    Ok(())
}

fn archive_of_a_user(bed: &Bed) -> Result<()> {
    bed.sh("id alice || useradd --create-home --shell /bin/bash alice; loginctl enable-linger alice")?;
    let uid = bed.sh("id -u alice")?;
    let own = |script: &str| {
        let env = format!(
            "export HOME=/home/alice XDG_RUNTIME_DIR=/run/user/{} PATH=/home/alice/.local/bin:$PATH",
            uid.trim()
        );
        let done = bed.try_sh_as("alice", "alice", &format!("cd /; {env}; {script}"))?;
        ensure!(done.code == 0, "{done}");
        Ok(done.stdout)
    };
    bed.wait("alice's service manager", || {
        Ok(own("systemctl --user is-system-running --wait").is_ok().then_some(()))
    })?;
    bed.sh(UNPACK)?;
    own("/tmp/archive/install.sh --user && systemctl --user enable --quiet --now dd-procmgrd")?;
    let listed = own("pm-cli create mine sleep 7005 --auto-start && pm-cli list")?;
    ensure!(listed.contains("running"), "{listed}");
    own("~/.local/share/dd-procmgrd/install.sh --user --uninstall --purge")?;
    ensure!(bed.try_sh("pgrep -xf 'sleep 7005'")?.code == 1, "uninstalled, but it runs");
    let left = bed.sh("find /home/alice -name '*procmgr*'")?;
    ensure!(left.is_empty(), "left behind:\n{left}");
    Ok(())
}

/// The image's own files and nothing else, in namespaces as a container has them, with the /proc and /dev that every
/// container gets.
fn image(bed: &Bed) -> Result<()> {
    const ROOT: &str = "/tmp/image";
    const DAEMON: &str = "pgrep --full --exact /usr/bin/dd-procmgrd";
    for (user, options) in [("root", ""), ("nonroot", "--userspec=65532:65532 --groups=")] {
        bed.sh(&format!(
            "rm -rf {ROOT} && cp -a /src/target/package/container/rootfs {ROOT} && mkdir {ROOT}/proc {ROOT}/dev"
        ))?;
        if user == "nonroot" {
            // What Containerfile.nonroot says with COPY --chown.
            bed.sh(&format!(
                "cp -a /src/target/package/container/writable/. {ROOT}/ && cd {ROOT} && \
                 chown -R 65532:65532 run/* var/lib/* var/log/*"
            ))?;
        }
        let definition = "command: /usr/bin/pm-cli --version\n    type: oneshot\n    remain_after_exit: true";
        bed.write(
            &format!("{ROOT}/etc/dd-procmgrd/processes.yaml"),
            &format!("processes:\n  version:\n    {definition}"),
        )?;
        bed.sh(&format!(
            "systemd-run --quiet --unit=image-{user} --setenv=PM_BIND_ADDRESS=off --setenv=METRICS_PORT=9199 \
             unshare --pid --fork --kill-child --mount-proc={ROOT}/proc \
             sh -c 'mount --rbind /dev {ROOT}/dev && exec chroot {options} {ROOT} /usr/bin/dd-procmgrd'"
        ))?;
        let inside = |words: &str| {
            bed.try_sh(&format!("nsenter --target $({DAEMON}) --pid --mount chroot {options} {ROOT} {words}"))
        };
        bed.wait(&format!("the health check of {user}'s image"), || {
            Ok((inside("/usr/bin/pm-cli status")?.code == 0).then_some(()))
        })?;
        bed.wait("the line of the static program", || {
            Ok(inside("/usr/bin/pm-cli logs version")?.stdout.contains("pm-cli").then_some(()))
        })?;
        let metrics = bed.sh("curl --silent --fail http://127.0.0.1:9199/metrics")?;
        ensure!(metrics.contains("ddprocmgr_build_info"), "{metrics}");
        // As `docker stop` does: SIGTERM to PID 1, which ends with 0.
        bed.sh(&format!("kill -TERM $({DAEMON})"))?;
        bed.wait("its end", || Ok((bed.try_sh(DAEMON)?.code == 1).then_some(())))?;
        let ended = bed.try_sh(&format!("systemctl is-failed image-{user}"))?;
        ensure!(ended.stdout.trim() != "failed", "{ended}");
    }
    Ok(())
}

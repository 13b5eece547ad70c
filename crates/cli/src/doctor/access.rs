//! Whose files these are, and who else can read or change them.

use super::facts::{Meta, Role, Seen, shown};
use super::{Facts, Finding, count, quoted};

pub(super) fn config(facts: &Facts) -> Vec<Finding> {
    let role = |role| matches!(role, Role::Config | Role::Settings | Role::Environment);
    writers(facts, role, "who can write to it decides what the daemon runs, and as whom")
}

pub(super) fn state(facts: &Facts) -> Vec<Finding> {
    let role = |role| matches!(role, Role::State | Role::Made | Role::Logs);
    let mut findings = writers(
        facts,
        role,
        "who can write to it can put definitions or links there that the daemon follows",
    );
    for (seen, meta) in present(facts, |role| role == Role::Made) {
        if meta.open && meta.mode & 0o077 != 0 {
            findings.retain(|finding| finding.verdict != super::Verdict::Ok);
            findings.push(Finding::warning(
                format!("{} has mode {:04o}", shown(&seen.path), meta.mode),
                "definitions with their variables are in it; the daemon makes it 0700",
                format!("sudo chmod 700 {}", path(seen)),
            ));
        }
    }
    findings
}

pub(super) fn socket(facts: &Facts) -> Vec<Finding> {
    let role = |role| matches!(role, Role::Runtime | Role::Socket);
    let mut findings = writers(
        facts,
        |role| role == Role::Runtime,
        "who can write to it can put a socket of his own there, and pm-cli would talk to that",
    );
    // Everybody may connect: who may do what is decided by credentials. Whose it is matters.
    for (seen, meta) in present(facts, |role| role == Role::Socket) {
        findings.extend(stranger(facts, seen, meta, "whoever made it answers in the daemon's place"));
    }
    if present(facts, role).next().is_none() && findings.is_empty() {
        findings.push(Finding::not_checked("there is no control socket"));
    }
    findings
}

pub(super) fn token(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (seen, meta) in present(facts, |role| role == Role::Token) {
        findings.extend(stranger(facts, seen, meta, "whoever owns it can read it"));
        if meta.open && meta.mode & 0o006 != 0 {
            findings.push(Finding::problem(
                format!("everybody can read {} (mode {:04o})", shown(&seen.path), meta.mode),
                "who has it may do over TCP what operators may",
                format!("sudo chmod o-rwx {}; pm-cli token rotate", path(seen)),
            ));
        } else if findings.is_empty() {
            findings.push(Finding::ok(format!("{} ({:04o})", shown(&seen.path), meta.mode)));
        }
    }
    or_unknown(
        facts,
        |role| role == Role::Token,
        findings,
        "there is no token: no caller over TCP can present one",
    )
}

pub(super) fn program(facts: &Facts) -> Vec<Finding> {
    if let Err(why) = &facts.proc.exe {
        return vec![Finding::not_checked(why)];
    }
    let role = |role| role == Role::Program;
    if facts.files.is_ok() && present(facts, role).next().is_none() {
        return vec![Finding::not_checked("its file is gone, see running-program")];
    }
    writers(facts, role, "who can write to it decides what the daemon is at its next start")
}

pub(super) fn secrets(facts: &Facts) -> Vec<Finding> {
    let holds = match &facts.definitions {
        Ok(definitions) => definitions.secrets.as_slice(),
        Err(_) => &[],
    };
    let secret = |seen: &&Seen| seen.role == Role::Key || holds.contains(&seen.path);
    let files = match &facts.files {
        Err(why) => return vec![Finding::not_checked(why)],
        Ok(files) => files.iter().filter(secret),
    };
    let mut findings = Vec::new();
    let mut good = 0;
    for seen in files {
        let Ok(Some(meta)) = seen.meta else { continue };
        if !meta.open || meta.mode & 0o004 == 0 {
            good += 1;
            continue;
        }
        let found =
            |what: &str| format!("everybody can read {} (mode {:04o}), {what}", shown(&seen.path), meta.mode);
        let command = format!("sudo chmod o-rwx {}", path(seen));
        findings.push(if seen.role == Role::Key {
            Finding::problem(found("the key of a certificate"), "who has it can pose as the daemon", command)
        } else {
            let means = "variables in it look secret; take the right to read away from others, or move them to an \
                         environment_file of mode 0600";
            Finding::warning(found("which holds secrets"), means, command)
        });
    }
    if findings.is_empty() {
        let finding = match (&facts.definitions, good) {
            (Err(why), _) => Finding::not_checked(why),
            (Ok(definitions), 0) if definitions.good == 0 && !definitions.left_out.is_empty() => {
                Finding::not_checked(format!("your user may not read {}", shown(&definitions.left_out[0])))
            }
            (Ok(_), 0) => Finding::ok("no variable in the files looks secret"),
            (Ok(_), good) => {
                Finding::ok(format!("{} with secrets, not for everybody", count(good, "file", "files")))
            }
        };
        findings.push(finding);
    }
    findings
}

/// Those of a role that are there and could be looked at.
fn present<'a>(
    facts: &'a Facts,
    role: impl Fn(Role) -> bool + 'a,
) -> impl Iterator<Item = (&'a Seen, Meta)> + 'a {
    let files = facts.files.iter().flatten().filter(move |seen| role(seen.role));
    files.filter_map(|seen| seen.meta.as_ref().ok().copied().flatten().map(|meta| (seen, meta)))
}

/// Nobody but root and the daemon's user may write to these.
fn writers(facts: &Facts, role: impl Fn(Role) -> bool + Copy, means: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut good = Vec::new();
    for (seen, meta) in present(facts, role) {
        let before = findings.len();
        findings.extend(stranger(facts, seen, meta, means));
        let name = shown(&seen.path);
        // In a directory with the sticky bit nobody can replace what belongs to somebody else; a new file in one of
        // definitions is as bad.
        let sticky = meta.directory && meta.mode & 0o1000 != 0 && seen.role != Role::Config;
        let others = meta.open && meta.mode & 0o002 != 0 && !sticky;
        // The group of root, and a group that is the user's own, have nobody else in them.
        let group = meta.mode & 0o020 != 0 && meta.gid != 0 && meta.gid != meta.uid;
        if others {
            let found = format!("everybody can write to {name} (mode {:04o})", meta.mode);
            findings.push(Finding::problem(found, means, format!("sudo chmod o-w {}", path(seen))));
        } else if group {
            let found = format!("the group {} can write to {name} (mode {:04o})", meta.gid, meta.mode);
            findings.push(Finding::warning(found, means, format!("sudo chmod g-w {}", path(seen))));
        }
        if before == findings.len() {
            good.push(format!("{name} ({:04o})", meta.mode));
        }
    }
    if findings.is_empty() && !good.is_empty() {
        findings.push(Finding::ok(super::some(&good)));
    }
    or_unknown(facts, role, findings, "there is none of them")
}

/// It belongs to somebody who is neither root nor the daemon's user.
fn stranger(facts: &Facts, seen: &Seen, meta: Meta, means: &str) -> Option<Finding> {
    let own = facts.daemon_uid();
    (meta.uid != 0 && meta.uid != own).then(|| {
        Finding::problem(
            format!("{} belongs to uid {}, neither root nor the daemon's user", shown(&seen.path), meta.uid),
            means,
            format!("sudo chown {own} {}", path(seen)),
        )
    })
}

/// What could not be looked at, where nothing was found.
fn or_unknown(
    facts: &Facts,
    role: impl Fn(Role) -> bool,
    mut findings: Vec<Finding>,
    nothing: &str,
) -> Vec<Finding> {
    match &facts.files {
        Err(why) => vec![Finding::not_checked(why)],
        Ok(files) => {
            let unknown = files.iter().filter(|seen| role(seen.role)).filter_map(|seen| {
                let why = seen.meta.as_ref().err()?;
                Some(Finding::not_checked(format!("{}: {why}", shown(&seen.path))))
            });
            findings.extend(unknown.take(1));
            if findings.is_empty() {
                findings.push(Finding::not_checked(nothing));
            }
            findings
        }
    }
}

fn path(seen: &Seen) -> String {
    quoted(&shown(&seen.path))
}

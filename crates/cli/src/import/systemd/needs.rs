//! Ties between units, and conditions.

use model::{Definition, PathCondition};

use super::specifier::Specifiers;
use super::unit::Assignment;
use crate::import::draft::{Draft, Import, Link, Tie};

/// Reads `After=` and the like; false when the key is none of them.
pub(super) fn tie(
    from: &Assignment,
    specifiers: &Specifiers<'_>,
    draft: &mut Draft,
    into: &mut Import,
) -> bool {
    let tie = match from.key.as_str() {
        "After" => Tie::After,
        "Before" => Tie::Before,
        "Requires" | "Requisite" => Tie::Requires,
        "Wants" | "Upholds" => Tie::Wants,
        "BindsTo" => Tie::BindsTo,
        "Conflicts" => Tie::Conflicts,
        "PartOf" => {
            let instead =
                "`requires` stops it when the other one is stopped, `binds_to` also when that ends by itself";
            into.lost(&from.at, &from.written(), "nothing is only stopped and restarted together", instead);
            return true;
        }
        _ => return false,
    };
    for word in from.value.split_whitespace() {
        let Ok(unit) = specifiers.expand(word) else {
            into.lost(
                &from.at,
                &from.written(),
                format!("what {word} is, is not known here"),
                "write it out",
            );
            continue;
        };
        let what = format!("{}={unit}", from.key);
        match unit.rsplit_once('.') {
            Some((stem, "service")) => draft.links.push(Link {
                tie,
                target: stem.to_owned(),
                until: None,
                at: from.at.clone(),
                what,
            }),
            // Where the daemon itself runs, the whole system is up as far as these say.
            Some((_, "target" | "slice")) if tie != Tie::Requires && tie != Tie::BindsTo => into.changed(
                &from.at,
                &what,
                "the order of the boot is that of the daemon's own unit",
                format!("to wait for it: systemctl edit dd-procmgrd, {}={unit}", from.key),
            ),
            _ => into.lost(
                &from.at,
                &what,
                "only processes can be named",
                format!("tie the daemon's own unit to it: systemctl edit dd-procmgrd, {}={unit}", from.key),
            ),
        }
    }
    true
}

/// Reads `Condition...=` and `Assert...=`; false when the key is none of them.
pub(super) fn condition(
    from: &Assignment,
    specifiers: &Specifiers<'_>,
    definition: &mut Definition,
    into: &mut Import,
) -> bool {
    if !from.key.starts_with("Condition") && !from.key.starts_with("Assert") {
        return false;
    }
    let also = match from.key.as_str() {
        "ConditionPathExists" => "",
        "ConditionPathIsDirectory" => "that it is a directory is not checked",
        "ConditionFileNotEmpty" => "that it has content is not checked",
        "ConditionFileIsExecutable" => "that it can be executed is not checked",
        "AssertPathExists" => "where it does not exist the process is skipped, and that is no failure",
        _ => {
            let instead = "check it with `exec_start_pre`: a failure keeps it from being started";
            into.lost(&from.at, &from.written(), "only the existence of a path can be asked", instead);
            return true;
        }
    };
    if from.value.starts_with('|') {
        into.lost(&from.at, &from.written(), "all conditions have to hold, there is no `|`", "");
        return true;
    }
    let (negated, path) = match from.value.strip_prefix('!') {
        Some(path) => (true, path.trim_start()),
        None => (false, from.value.as_str()),
    };
    match specifiers.expand(path) {
        Ok(path) => {
            let list = definition.condition_path_exists.get_or_insert_default();
            list.push(PathCondition { path: path.into(), negated });
            if !also.is_empty() {
                into.changed(&from.at, &from.written(), also, "");
            }
        }
        Err(why) => into.lost(&from.at, &from.written(), why, "write the path out"),
    }
    true
}

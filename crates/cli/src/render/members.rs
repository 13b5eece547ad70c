//! The processes of a run as a tree of pids.

use std::collections::{HashMap, HashSet};

use rpc::v1;

use super::columns::cut;
use super::paint::one_line;

/// Lines at most: a fork bomb has more.
const MOST: usize = 100;
/// Steps to the right.
const DEEPEST: usize = 16;

/// One line each, without newlines; children below their parents, cut to the room.
pub(crate) fn lines(members: &[v1::Member], main: Option<u32>, room: Option<usize>) -> Vec<String> {
    let known: HashSet<u32> = members.iter().map(|member| member.pid).collect();
    let mut children: HashMap<u32, Vec<usize>> = HashMap::new();
    let mut tops = Vec::new();
    for (place, member) in members.iter().enumerate() {
        let is_top = Some(member.pid) == main
            || !known.contains(&member.parent_pid)
            || member.parent_pid == member.pid;
        if is_top {
            tops.push(place);
        } else {
            children.entry(member.parent_pid).or_default().push(place);
        }
    }
    tops.sort_by_key(|place| (Some(members[*place].pid) != main, members[*place].pid));
    let mut shown: HashSet<usize> = HashSet::new();
    let mut lines = Vec::new();
    // What was read while it changed may go around in circles: then somebody has no way to the top.
    for top in tops.into_iter().chain(0..members.len()) {
        let mut rest = vec![(top, String::new(), String::new(), 0)];
        while let Some((place, branch, stem, depth)) = rest.pop() {
            if !shown.insert(place) || lines.len() > MOST {
                continue;
            }
            let member = &members[place];
            let line = format!("{branch}{} {}{}", member.pid, one_line(&member.command_line), state(member));
            lines.push(room.map_or(line.clone(), |room| cut(&line, room)));
            let below = children.get(&member.pid).map_or(&[][..], Vec::as_slice);
            for (i, child) in below.iter().enumerate().rev() {
                let last = i + 1 == below.len();
                let (twig, side) = if last { ("└─", "  ") } else { ("├─", "│ ") };
                // Deeper ones stand as far right as the deepest.
                let stem_below = if depth < DEEPEST { format!("{stem}{side}") } else { stem.clone() };
                rest.push((*child, format!("{stem}{twig}"), stem_below, depth + 1));
            }
        }
    }
    if members.len() > MOST {
        lines.truncate(MOST);
        lines.push(format!("… and {} more", members.len() - MOST));
    }
    lines
}

/// What is worth a word: most sleep.
fn state(member: &v1::Member) -> &'static str {
    match member.state.as_str() {
        "D" => " (waits for a disk)",
        "Z" => " (ended, not reaped)",
        "T" | "t" => " (halted)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(pid: u32, parent: u32, command: &str) -> v1::Member {
        v1::Member { pid, parent_pid: parent, command_line: command.into(), ..Default::default() }
    }

    #[test]
    fn children_stand_below_their_parents() {
        let mut zombie = member(14, 10, "[gone]");
        zombie.state = "Z".into();
        let members = [
            member(10, 1, "web --all"),
            member(12, 10, "worker"),
            zombie,
            member(13, 12, "helper"),
            member(9, 1, "escaped"),
        ];
        assert_eq!(
            lines(&members, Some(10), None),
            ["10 web --all", "├─12 worker", "│ └─13 helper", "└─14 [gone] (ended, not reaped)", "9 escaped"]
        );
        assert_eq!(lines(&members, Some(10), Some(8))[2], "│ └─13 …");
    }

    #[test]
    fn circles_crowds_and_nothing() {
        assert_eq!(lines(&[], None, None), Vec::<String>::new());
        let circle = [member(1, 2, "a"), member(2, 1, "b"), member(3, 3, "c")];
        assert_eq!(lines(&circle, None, None), ["3 c", "1 a", "└─2 b"]);
        let row: Vec<v1::Member> = (1..10_000).map(|pid| member(pid, pid - 1, "x\u{1b}[2J")).collect();
        let text = lines(&row, Some(1), None);
        assert_eq!((text.len(), text[100].as_str()), (101, "… and 9899 more"));
        assert!(text.iter().all(|line| line.chars().count() < 80 && !line.contains('\u{1b}')));
    }
}

//! The graph as a tree: each process is told once, and pointed to where it comes again.

use std::collections::HashSet;

use rpc::v1::HealthState;

use super::edges::{Bundle, Graph, Kind};
use crate::render::paint::one_line;
use crate::render::{Paint, state_word};

/// Steps to the right. What would stand further in gets a tree of its own below: a chain may be as long as there are
/// processes, and its picture must not grow with the square of that.
const DEEPEST: usize = 24;

/// A line that is still to be written.
struct Pending {
    node: usize,
    depth: usize,
    /// What stands before the lines below this one.
    prefix: String,
    last: bool,
    relation: String,
    leads_on: bool,
}

/// The trees of these nodes. With `all`, of every other node that is not told by then, too: members of cycles have
/// nobody above them.
pub(crate) fn tree(graph: &Graph<'_>, roots: &[usize], all: bool, reverse: bool, paint: Paint) -> String {
    let mut writer =
        Writer { graph, reverse, paint, text: String::new(), told: HashSet::new(), cut: Vec::new() };
    let rest = if all { 0..graph.len() } else { 0..0 };
    for root in roots.iter().copied().chain(rest) {
        if writer.told.contains(&root) {
            continue;
        }
        writer.root(root);
        // A tree that was cut goes on below.
        while let Some(node) = writer.cut.pop() {
            if !writer.told.contains(&node) {
                writer.root(node);
            }
        }
    }
    writer.text
}

struct Writer<'a> {
    graph: &'a Graph<'a>,
    reverse: bool,
    paint: Paint,
    text: String,
    told: HashSet<usize>,
    cut: Vec<usize>,
}

impl Writer<'_> {
    fn root(&mut self, node: usize) {
        let root = Pending {
            node,
            depth: 0,
            prefix: String::new(),
            last: true,
            relation: String::new(),
            leads_on: true,
        };
        let (mut rest, mut path) = (vec![root], Vec::new());
        while let Some(line) = rest.pop() {
            path.truncate(line.depth);
            let mut below = self.graph.below(line.node, self.reverse);
            // Whom those who need it conflict with was not asked.
            if self.reverse && line.depth > 0 {
                below.retain(Bundle::leads_on);
            }
            let inner = below.iter().any(Bundle::leads_on);
            let mark = if !line.leads_on {
                ""
            } else if path.contains(&line.node) {
                " (cycle)"
            } else if inner && self.told.contains(&line.node) {
                " (see above)"
            } else if inner && line.depth >= DEEPEST {
                self.cut.push(line.node);
                " (see below)"
            } else {
                ""
            };
            self.line(&line, mark);
            if !mark.is_empty() || !line.leads_on {
                continue;
            }
            self.told.insert(line.node);
            path.push(line.node);
            let stem = match (line.depth, line.last) {
                (0, _) => String::new(),
                (_, true) => format!("{}   ", line.prefix),
                (_, false) => format!("{}│  ", line.prefix),
            };
            for (i, bundle) in below.iter().enumerate().rev() {
                rest.push(Pending {
                    node: bundle.other,
                    depth: line.depth + 1,
                    prefix: stem.clone(),
                    last: i + 1 == below.len(),
                    relation: relation(bundle, self.reverse),
                    leads_on: bundle.leads_on(),
                });
            }
        }
    }

    fn line(&mut self, line: &Pending, mark: &str) {
        let branch = match (line.depth, line.last) {
            (0, _) => "",
            (_, true) => "└─ ",
            (_, false) => "├─ ",
        };
        let name = one_line(self.graph.name(line.node)).into_owned();
        let name = if line.depth == 0 { self.paint.bold(&name).into_owned() } else { name };
        let standing = standing(self.graph, line.node, self.paint);
        let (words, until) = line.relation.split_once('\0').unwrap_or((&line.relation, ""));
        self.text.push_str(&format!("{}{branch}{words}{name}{until}: {standing}{mark}\n", line.prefix));
    }
}

/// `running`, `running (unhealthy)`, `not defined`
pub(super) fn standing(graph: &Graph<'_>, node: usize, paint: Paint) -> String {
    let Some(process) = graph.process(node) else { return paint.red("not defined").into_owned() };
    let word = state_word(process.state());
    if process.health.as_ref().is_some_and(|health| health.state() == HealthState::Unhealthy) {
        return paint.red(&format!("{word} (unhealthy)")).into_owned();
    }
    paint.state(process.state(), &word).into_owned()
}

/// What stands before the name, and behind it after a NUL: `requires `, ` (completed)`.
fn relation(bundle: &Bundle<'_>, reverse: bool) -> String {
    // Whoever needs another one starts after it anyway.
    let needs = bundle.edges.iter().any(|edge| edge.kind < Kind::After);
    let told = bundle.edges.iter().filter(|edge| !needs || edge.kind != Kind::After);
    let words: Vec<&str> = told.map(|edge| edge.kind.phrase(reverse)).collect();
    let until = bundle.edges.iter().find_map(|edge| edge.until.as_deref());
    let until = until.map_or(String::new(), |until| format!(" ({until})"));
    format!("{} \0{until}", words.join(", "))
}

#[cfg(test)]
mod tests {
    use rpc::v1;

    use super::*;

    /// `a: r=b w=c:healthy A=d B=e x=f b=g`: requires, wants, after, before, conflicts, binds to.
    fn process(line: &str) -> v1::Process {
        let (name, needs) = line.split_once(':').unwrap();
        let mut d = v1::ProcessDefinition::default();
        let push = |list: &mut Option<v1::DependencyList>, text: &str| {
            let (name, until) = text.split_once('/').unwrap_or((text, ""));
            let until = if until.is_empty() { v1::Readiness::Unspecified } else { v1::Readiness::Completed };
            let on = v1::Dependency { name: name.into(), until: until.into() };
            list.get_or_insert_default().values.push(on);
        };
        let plain = |list: &mut Option<v1::StringList>, name: &str| {
            list.get_or_insert_default().values.push(name.to_owned());
        };
        for need in needs.split_whitespace() {
            let (kind, other) = need.split_once('=').unwrap();
            match kind {
                "r" => push(&mut d.requires, other),
                "w" => push(&mut d.wants, other),
                "b" => push(&mut d.binds_to, other),
                "A" => plain(&mut d.after, other),
                "B" => plain(&mut d.before, other),
                _ => plain(&mut d.conflicts, other),
            }
        }
        v1::Process {
            name: name.into(),
            state: v1::State::Running.into(),
            definition: Some(Box::new(d)),
            ..Default::default()
        }
    }

    fn shown(lines: &[&str], names: &[usize], reverse: bool) -> String {
        let processes: Vec<v1::Process> = lines.iter().map(|line| process(line)).collect();
        let graph = Graph::new(&processes);
        let roots = if names.is_empty() { graph.roots(reverse) } else { names.to_vec() };
        tree(&graph, &roots, names.is_empty(), reverse, Paint::new(false))
    }

    const SHOP: [&str; 6] =
        ["alone:", "api: r=db A=db x=old", "db:", "old:", "web: r=api w=cache/c b=db", "cache: B=api"];

    #[test]
    fn what_everything_needs() {
        let expected = "\
web: running
├─ bound to db: running
├─ requires api: running
│  ├─ requires db: running
│  ├─ after cache: running
│  └─ conflicts with old: running
└─ wants cache (completed): running
old: running
└─ conflicts with api: running
alone: running
";
        assert_eq!(shown(&SHOP, &[], false), expected);
    }

    #[test]
    fn who_needs_it() {
        let expected = "\
db: running
├─ bound by web: running
└─ required by api: running
   └─ required by web: running
";
        assert_eq!(shown(&SHOP, &[2], true), expected);
        assert_eq!(shown(&["a: r=nobody"], &[], true), "nobody: not defined\n└─ required by a: running\n");
    }

    #[test]
    fn what_was_told_is_pointed_to_and_cycles_end() {
        let diamond = shown(&["a: r=b r=c", "b: r=d", "c: r=d", "d: r=e", "e:"], &[0], false);
        assert!(
            diamond.ends_with("└─ requires c: running\n   └─ requires d: running (see above)\n"),
            "{diamond}"
        );
        let expected = "\
a: running
└─ requires b: running
   └─ requires c: running
      ├─ requires a: running (cycle)
      └─ requires c: running (cycle)
";
        assert_eq!(shown(&["a: r=b", "b: r=c", "c: r=a r=c"], &[], false), expected);
        assert_eq!(
            shown(&["a: x=a A=a"], &[0], false),
            "a: running\n└─ after, conflicts with a: running (cycle)\n"
        );
    }

    #[test]
    fn ten_thousand_in_a_row_or_in_a_knot_stay_readable() {
        let row: Vec<String> = (0..10_000).map(|i| format!("p{i}: r=p{}", i + 1)).collect();
        let row: Vec<&str> = row.iter().map(String::as_str).collect();
        let text = shown(&row, &[], false);
        assert!(text.lines().all(|line| line.chars().count() < 200));
        assert!(text.lines().count() < 11_000, "{}", text.lines().count());
        for i in [0, 5_000, 10_000] {
            assert!(text.contains(&format!("p{i}: ")), "{i}");
        }
        // Everybody needs everybody: 2^n paths.
        let all: String = (0..60).map(|i| format!(" r=q{i}")).collect();
        let knot: Vec<String> = (0..60).map(|i| format!("q{i}:{all}")).collect();
        let knot: Vec<&str> = knot.iter().map(String::as_str).collect();
        assert!(shown(&knot, &[], false).lines().count() <= 60 * 61 + 60);
    }

    #[test]
    fn hostile_names_stay_on_their_line() {
        let text = shown(&["a: r=x\u{1b}[2J\u{202e}y"], &[], false);
        assert!(text.contains(r"requires x\u{1b}[2J\u{202e}y: not defined"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}

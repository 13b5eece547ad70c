//! What a process waits for, and what that waits for.

use std::collections::HashSet;

use rpc::v1;

/// One process in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) name: String,
    /// Its place in the list; `None` = nothing of that name is defined.
    pub(crate) place: Option<usize>,
    /// It is explained further up already: another path to it, or a cycle, which is cut here.
    pub(crate) again: bool,
    /// What keeps it as it is.
    pub(crate) causes: Vec<Link>,
}

/// The chain that begins with the process at this place.
pub(crate) fn chain(processes: &[v1::Process], place: usize) -> Link {
    link(processes, &processes[place].name, &mut HashSet::new())
}

fn link(processes: &[v1::Process], name: &str, seen: &mut HashSet<usize>) -> Link {
    let place = processes.iter().position(|p| p.name == name);
    let new = place.is_some_and(|place| seen.insert(place));
    let causes = match place {
        Some(place) if new => {
            let names = &processes[place].held_up_by;
            names.iter().map(|name| link(processes, name, seen)).collect()
        }
        _ => Vec::new(),
    };
    Link { name: name.to_owned(), place, again: place.is_some() && !new, causes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(name: &str, held_up_by: &[&str]) -> v1::Process {
        let held_up_by = held_up_by.iter().map(|name| (*name).to_owned()).collect();
        v1::Process { name: name.into(), held_up_by, ..Default::default() }
    }

    /// `web(db(disk))`, `!` after one that is explained already, `?` after one that is not defined.
    fn shown(link: &Link) -> String {
        let mark = if link.place.is_none() { "?" } else { "" };
        let again = if link.again { "!" } else { "" };
        let causes: Vec<String> = link.causes.iter().map(shown).collect();
        let causes = if causes.is_empty() { String::new() } else { format!("({})", causes.join(" ")) };
        format!("{}{mark}{again}{causes}", link.name)
    }

    #[test]
    fn a_chain_ends_at_the_cause() {
        let table = [
            process("web", &["api", "cache"]),
            process("api", &["db"]),
            process("cache", &["db"]),
            process("db", &[]),
            process("odd", &["nothing"]),
        ];
        assert_eq!(shown(&chain(&table, 0)), "web(api(db) cache(db!))");
        assert_eq!(shown(&chain(&table, 4)), "odd(nothing?)");
    }

    #[test]
    fn a_cycle_is_cut() {
        let table = [process("a", &["b"]), process("b", &["c", "a"]), process("c", &["c"])];
        assert_eq!(shown(&chain(&table, 0)), "a(b(c(c!) a!))");
    }
}

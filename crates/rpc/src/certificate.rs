//! What a client's certificate says: its role and its name.

use std::fmt;

use tls::Identity;

use crate::Role;

/// Longest name that is shown. X.520 allows 64 characters of a common name.
const MAX_NAME: usize = 64;

/// A caller with a certificate that one of the daemon's authorities signed. Small and without a heap, as it stands in
/// every call of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Certified {
    pub(crate) role: Role,
    name: [u8; MAX_NAME],
    len: usize,
}

impl Certified {
    /// The role is the highest that an organizational unit names, else viewer: the authority has vouched for each of
    /// them. The name is the common name, escaped so that a record which holds it can't be misread, and cut.
    pub(crate) fn of(identity: &Identity) -> Self {
        let named = |unit: &String| Role::ALL.into_iter().find(|role| role.as_str() == unit);
        let role = identity.units.iter().filter_map(named).max().unwrap_or(Role::Viewer);
        let mut certified = Self { role, name: [0; MAX_NAME], len: 0 };
        for c in identity.common_name.chars() {
            // Whole characters and whole escapes only.
            let shown: String = c.escape_debug().collect();
            let end = certified.len + shown.len();
            let Some(room) = certified.name.get_mut(certified.len..end) else { break };
            room.copy_from_slice(shown.as_bytes());
            certified.len = end;
        }
        certified
    }

    pub(crate) fn name(&self) -> &str {
        str::from_utf8(&self.name[..self.len]).unwrap_or_default()
    }
}

/// `"ada"`
impl fmt::Display for Certified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, units: &[&str]) -> Certified {
        let units = units.iter().map(|unit| (*unit).to_owned()).collect();
        Certified::of(&Identity { common_name: name.to_owned(), units })
    }

    #[test]
    fn the_role_is_the_highest_unit_that_names_one() {
        for (units, role) in [
            (&[][..], Role::Viewer),
            (&["viewer"], Role::Viewer),
            (&["operator"], Role::Operator),
            (&["admin"], Role::Admin),
            (&["Engineering", "operator"], Role::Operator),
            (&["admin", "viewer"], Role::Admin),
            // Nothing but the word itself.
            (&["Admin", "admin ", "admins", " admin", "admin\0", "admin,operator"], Role::Viewer),
        ] {
            assert_eq!(of("x", units).role, role, "{units:?}");
        }
    }

    #[test]
    fn a_name_cannot_forge_a_record() {
        assert_eq!(of("Äda Lovelace", &[]).name(), "Äda Lovelace");
        let hostile = of("x\" role=\"admin\n<3>ok \u{1b}[31m\u{202e}\\", &[]);
        assert_eq!(hostile.name(), r#"x\" role=\"admin\n<3>ok \u{1b}[31m\u{202e}\\"#);
        assert!(!hostile.to_string().chars().any(char::is_control));
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        assert_eq!(of(&"é".repeat(1000), &[]).name(), "é".repeat(32));
        assert_eq!(of(&format!("{}\n", "x".repeat(63)), &[]).name(), "x".repeat(63), "no half of an escape");
        assert_eq!(of("", &[]).to_string(), "\"\"");
    }
}

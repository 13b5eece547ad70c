//! What holds for any text: the tests of this crate and the fuzz targets of the workspace ask the same questions.
//!
//! Public only with the feature `fuzzing`, since what is asked about is not. Each function panics when it doesn't hold.

use crate::http::View;

/// The query of the status page: whatever a stranger writes, the link to the same view leads to the same view.
///
/// # Panics
/// When it doesn't.
pub fn query(text: &str) {
    let view = View::from_query(text);
    let link = view.link().replace("&amp;", "&");
    let again = View::from_query(link.strip_prefix("/?").expect("a link to the page"));
    assert_eq!(view, again, "{text:?}");
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_query_is_taken() {
        let many = "from=1&".repeat(10_000);
        for text in [
            "",
            "&&&",
            "from=-1",
            "from=18446744073709551616",
            "state=running&from=7",
            "from=%00&state=\u{1b}",
            &many,
        ] {
            super::query(text);
        }
    }
}

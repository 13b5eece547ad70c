//! The page as text: what is on it, in which order, and what can't get onto it.

use std::sync::Arc;

use super::*;
use crate::tests::{Fixture, exporter, process};

fn page(fixture: Fixture, query: &str) -> String {
    let exporter = exporter(fixture);
    let sample = exporter.sample();
    render(&exporter, &sample, &View::from_query(query))
}

/// The cells of one process's row, as text without the markup.
fn row(page: &str, name: &str) -> Vec<String> {
    let begin = format!("<tr><th scope=\"row\">{name}<");
    let row =
        page.split("\n").find(|l| l.starts_with(&begin)).unwrap_or_else(|| panic!("no {name} in {page}"));
    let cells = row.split("</td>").flat_map(|part| part.split("</th>"));
    let text = |cell: &str| {
        let parts: Vec<&str> =
            cell.split('<').map(|p| p.split_once('>').map_or(p, |(_, text)| text)).collect();
        parts.concat()
    };
    cells.map(text).collect()
}

#[test]
fn each_process_has_its_row() {
    let page = page(Fixture::default(), "");
    let api = row(&page, "api@1.blue");
    assert_eq!(
        api[..7],
        [
            "api@1.blue",
            "running health unhealthy",
            "wanted upGET /: connection refused",
            "8 min",
            "3",
            "18.6 MiB",
            "18 s"
        ]
        .map(String::from)[..]
    );
    let crasher = row(&page, "crasher");
    assert_eq!(crasher[1], "crash_loop");
    assert!(crasher[2].ends_with("starts in 7 s"), "{crasher:?}");
    for link in ["/metrics", "/healthz", "/readyz", "/?state=crash_loop"] {
        assert!(page.contains(&format!("href=\"{link}\"")), "{link}");
    }
    let place = |name: &str| page.find(&format!("<th scope=\"row\">{name}<")).unwrap();
    assert!(place("crasher") < place("adopted"), "trouble comes first");
}

#[test]
fn what_a_definition_or_a_process_says_is_never_markup() {
    const EVIL: &str = "</td><script>alert('x')</script><img src=\"x\" onerror=1>&amp;\u{202e}\u{1b}[2J";
    let mut view = process("evil");
    Arc::make_mut(&mut view.spec).description = EVIL.to_owned();
    view.status = EVIL.to_owned();
    view.reason = model::Reason::ConditionFailed(EVIL.to_owned());
    let harmless = page(Fixture { processes: vec![process("evil")], ..Fixture::default() }, "");
    let with =
        page(Fixture { processes: vec![view.clone()], ..Fixture::default() }, "?<script>&state=<script>");
    let tags = |page: &str| page.matches('<').count() - page.matches("<small>").count() * 2;
    assert_eq!(tags(&with), tags(&harmless), "{with}");
    assert_eq!(with.matches("&lt;script&gt;").count(), 3);
    assert!(!with.contains("alert('x')") && !with.contains('\u{202e}') && !with.contains('\u{1b}'));
    view.problem = Some("ä".repeat(10_000));
    let long = page(Fixture { processes: vec![view], ..Fixture::default() }, "");
    assert!(long.len() < harmless.len() + 4096 && long.contains("ä…<"));
}

#[test]
fn ten_thousand_processes_come_in_pages() {
    let fixture = || Fixture {
        processes: (0..10_000).map(|n| process(&format!("p{n:05}"))).collect(),
        ..Fixture::default()
    };
    let first = page(fixture(), "");
    assert!(first.contains("1 to 500 of 10000 <a href=\"/?from=500\">next</a>"));
    assert_eq!(first.matches("<th scope=\"row\">").count(), ROWS);
    assert!(first.len() < 200_000, "{}", first.len());
    let last = page(fixture(), "from=9500&state=stopped");
    assert!(
        last.contains("9501 to 10000 of 10000 <a href=\"/?state=stopped&amp;from=9000\">previous</a></p>")
    );
    let beyond = page(fixture(), &format!("from={}", usize::MAX));
    assert!(beyond.contains("10000 to 10000 of 10000") && !beyond.contains("<th scope=\"row\">"));
    assert!(!page(Fixture::default(), "state=running").contains("crasher<"));
}

#[test]
fn times_and_sizes_for_people() {
    let shown = [0, 59, 60, 3599, 3600, 86_399, 90_000].map(|seconds| time(Duration::from_secs(seconds)));
    assert_eq!(shown, ["0 s", "59 s", "1 min", "59 min", "1 h 0 min", "23 h 59 min", "1 d 1 h"]);
    let shown = [0, 1023, 4096, 1_572_864, 1_610_612_736].map(bytes);
    assert_eq!(shown, ["0 KiB", "0 KiB", "4 KiB", "1.5 MiB", "1.5 GiB"]);
}

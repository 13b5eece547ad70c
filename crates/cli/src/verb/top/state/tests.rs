//! Keys and samples, and what is seen then: state and layout together.

use super::super::layout::frame;
use super::*;
use crate::render::Paint;

const ID: [&str; 4] = ["aaaa", "bbbb", "cccc", "dddd"];

fn process(place: usize, name: &str, state: v1::State) -> v1::Process {
    let at = prost_types::Timestamp { seconds: 100 - i64::try_from(place).unwrap(), nanos: 0 };
    let pid = (state == v1::State::Running).then_some(4_000 + u32::try_from(place).unwrap());
    v1::Process {
        name: name.into(),
        process_id: ID.get(place).map_or_else(|| format!("id{place}"), |id| (*id).to_owned()),
        state: state.into(),
        run: pid.map(|pid| v1::Run { number: 1, pid: Some(pid), start_time: Some(at), ..Default::default() }),
        counters: Some(v1::Counters { restarts: 3 - place.min(3) as u64, ..Default::default() }),
        reason: "wanted".into(),
        ..Default::default()
    }
}

/// Usage at a second: each has used so many milliseconds of CPU.
fn usage(second: i64, processes: &[v1::Process], ms: &[i32]) -> v1::ListStatsResponse {
    let stats = processes.iter().zip(ms).filter(|(p, _)| p.run.is_some()).map(|(p, ms)| v1::ProcessStats {
        name: p.name.clone(),
        process_id: p.process_id.clone(),
        run: 1,
        processes: 2,
        resident_bytes: u64::from(*p.name.as_bytes().first().unwrap()) << 20,
        cpu: Some(prost_types::Duration { seconds: i64::from(ms / 1000), nanos: ms % 1000 * 1_000_000 }),
        ..Default::default()
    });
    v1::ListStatsResponse {
        time: Some(prost_types::Timestamp { seconds: second, nanos: 0 }),
        stats: stats.collect(),
    }
}

fn shop() -> Vec<v1::Process> {
    use v1::State::{Backoff, Running};
    vec![
        process(0, "api", Running),
        process(1, "db", Backoff),
        process(2, "web", Running),
        process(3, "worker", Running),
    ]
}

fn state(size: (usize, usize)) -> State {
    let mut state = State::new(size, SortArg::Cpu);
    let now = Wall::default().after(Duration::from_secs(200));
    state.sample(shop(), &usage(200, &shop(), &[100, 0, 100, 100]), now);
    state.sample(shop(), &usage(202, &shop(), &[300, 0, 1100, 100]), now);
    state
}

fn press(state: &mut State, keys: &str) -> Vec<Wish> {
    keys.chars().map(|c| state.key(Key::Char(c))).filter(|wish| *wish != Wish::Nothing).collect()
}

fn names(state: &State) -> String {
    let names: Vec<&str> = state.order.iter().map(|place| state.rows[*place].process.name.as_str()).collect();
    names.join(" ")
}

fn seen(state: &State) -> String {
    frame(state, "19:03:04", Paint::new(false)).join("\n")
}

#[test]
fn the_picture() {
    let expected = "\
4 processes: 3 running, 1 backoff · CPU 60.0 % · 335.0 MiB              19:03:04
  NAME    STATE          PID  CPU %▼     MEMORY   UPTIME  RESTARTS  REASON
> web     running       4002    50.0  119.0 MiB   1m 42s         1  wanted
  api     running       4000    10.0   97.0 MiB   1m 40s         3  wanted
  worker  running       4003     0.0  119.0 MiB   1m 43s         0  wanted
  db      backoff          -       -          -        -         2  wanted

q quit  ? help  / filter  enter details  l logs  r restart  s stop  t start  c …";
    let shown = seen(&state((80, 8)));
    let trimmed: Vec<&str> = shown.lines().map(str::trim_end).collect();
    assert_eq!(trimmed.join("\n"), expected);
}

#[test]
fn sorting() {
    let mut state = state((80, 24));
    assert_eq!(names(&state), "web api worker db");
    press(&mut state, "nn");
    assert!(seen(&state).contains("\n  NAME▼ ") && seen(&state).contains(" CPU %  "), "{}", seen(&state));
    press(&mut state, "c");
    for (key, order) in [
        ("c", "db worker api web"),
        ("n", "api db web worker"),
        ("n", "worker web db api"),
        ("m", "web worker api db"),
        ("u", "worker web api db"),
        ("R", "api db web worker"),
        ("c", "web api worker db"),
    ] {
        press(&mut state, key);
        assert_eq!(names(&state), order, "{key}");
    }
}

#[test]
fn the_cursor_follows_its_process_once_it_was_moved() {
    let mut state = state((80, 24));
    let now = Wall::default().after(Duration::from_secs(204));
    let selected = |state: &State| state.selected().unwrap().process.name.clone();
    assert_eq!(selected(&state), "web");
    state.sample(shop(), &usage(204, &shop(), &[2300, 0, 1100, 100]), now);
    assert_eq!(selected(&state), "api", "nobody chose web: the first one stays selected");
    state.key(Key::Down);
    assert_eq!(selected(&state), "web");
    state.sample(shop(), &usage(206, &shop(), &[2300, 0, 1100, 1100]), now);
    assert_eq!((names(&state).as_str(), selected(&state).as_str()), ("worker api web db", "web"));
    // It is deleted: the cursor stays where it is.
    let rest: Vec<v1::Process> = shop().into_iter().filter(|p| p.name != "web").collect();
    state.sample(rest, &usage(208, &[], &[]), now);
    assert!(state.selected().is_some());
    state.sample(vec![], &v1::ListStatsResponse::default(), now);
    assert!(state.selected().is_none());
    assert_eq!(press(&mut state, "rstl"), [], "there is nothing to do it to");
    assert!(seen(&state).contains("no processes are defined"));
}

#[test]
fn nothing_is_done_without_a_yes() {
    for (key, action) in [('r', Action::Restart), ('s', Action::Stop), ('t', Action::Start)] {
        let mut state = state((80, 24));
        assert_eq!(press(&mut state, &key.to_string()), []);
        assert!(seen(&state).ends_with(&format!("{} web? [y/N]", action.word())), "{}", seen(&state));
        // Meanwhile another one uses more: it is still about the one that was asked for.
        let now = Wall::default().after(Duration::from_secs(204));
        state.sample(shop(), &usage(204, &shop(), &[2300, 0, 1100, 100]), now);
        assert_eq!(press(&mut state, "y"), [Wish::Act(action, "web".into())]);
        press(&mut state, &key.to_string());
        assert_eq!(press(&mut state, "n"), []);
        assert!(seen(&state).ends_with("nothing was done"), "{}", seen(&state));
        press(&mut state, &key.to_string());
        assert_eq!((state.key(Key::Enter), state.mode.clone()), (Wish::Nothing, Mode::Table));
    }
}

#[test]
fn the_filter() {
    let mut state = state((80, 24));
    press(&mut state, "/W");
    assert_eq!(names(&state), "web worker");
    assert!(seen(&state).ends_with("\n/W_"), "{}", seen(&state));
    press(&mut state, "q");
    assert_eq!(names(&state), "", "q is a letter here");
    assert!(seen(&state).contains("nothing fits \"Wq\""), "{}", seen(&state));
    state.key(Key::Backspace);
    state.key(Key::Enter);
    assert!(seen(&state).contains("[W] q quit"), "{}", seen(&state));
    state.key(Key::Escape);
    assert_eq!(names(&state), "web api worker db");
    press(&mut state, "/backoff");
    assert_eq!(names(&state), "db", "states are found, too");
    state.key(Key::Escape);
    assert_eq!((names(&state).as_str(), state.mode.clone()), ("web api worker db", Mode::Table));
    press(&mut state, "/");
    state.key(Key::Backspace);
    assert_eq!(state.mode, Mode::Table);
    press(&mut state, "/\u{202e}");
    assert!(!seen(&state).contains('\u{202e}'));
}

#[test]
fn texts_scroll_and_logs_stay_at_their_end() {
    let mut state = state((20, 6));
    assert_eq!(press(&mut state, "l"), [Wish::Read(Page::Logs, "web".into())]);
    assert!(seen(&state).contains("reading …"));
    let lines = |count: usize| (0..count).map(|i| format!("line {i}")).collect::<Vec<_>>();
    state.text(Page::Logs, "web", lines(10));
    assert!(seen(&state).starts_with("last lines of web (…\nline 6\nline 7\n"), "{}", seen(&state));
    state.text(Page::Logs, "web", lines(20));
    assert!(seen(&state).contains("\nline 19\n"), "it follows");
    state.key(Key::Up);
    state.text(Page::Logs, "web", lines(30));
    assert!(seen(&state).contains("\nline 15\nline 16\nline 17\nline 18\n"), "{}", seen(&state));
    state.key(Key::End);
    state.text(Page::Logs, "web", lines(40));
    assert!(seen(&state).contains("\nline 39\n"));
    state.key(Key::Home);
    assert!(seen(&state).contains("\nline 0\n"));
    // What comes too late, or is about something else, is not shown.
    state.text(Page::Details, "web", lines(1));
    state.text(Page::Logs, "api", lines(1));
    assert!(seen(&state).contains("\nline 1\n"));
    state.key(Key::Escape);
    assert_eq!(state.mode, Mode::Table);
    state.text(Page::Logs, "web", lines(1));
    assert_eq!(state.mode, Mode::Table);
    assert_eq!(state.key(Key::Enter), Wish::Read(Page::Details, "web".into()));
    state.text(Page::Details, "web", vec!["x".repeat(45), "\u{1b}[2J\t.".into()]);
    assert!(
        seen(&state).contains(&format!("\n{0}\n{0}\nxxxxx\n\\u{{1b}}[2J    .", "x".repeat(20))),
        "{}",
        seen(&state)
    );
}

#[test]
fn help_and_the_way_out() {
    let mut state = state((80, 40));
    press(&mut state, "?");
    assert!(seen(&state).contains("sort by memory"));
    press(&mut state, "x");
    assert_eq!(state.mode, Mode::Table);
    assert_eq!(press(&mut state, "q"), [Wish::Quit]);
    for mode in ["/", "?", "r", "l"] {
        press(&mut state, mode);
        assert_eq!(state.key(Key::Ctrl('c')), Wish::Quit, "{mode}");
        state.key(Key::Escape);
    }
    assert_eq!(state.key(Key::Ctrl('z')), Wish::Suspend);
}

#[test]
fn trouble_is_said_until_it_is_over() {
    let mut state = state((40, 8));
    state.trouble = Some("no daemon answers; trying again".into());
    assert!(seen(&state).ends_with("no daemon answers; trying again"));
    assert!(seen(&state).contains("web"), "what was known stays");
    state.sample(shop(), &usage(208, &shop(), &[0, 0, 0, 0]), Wall(0));
    assert!(!seen(&state).contains("trying"));
}

#[test]
fn every_size_fits() {
    for columns in 0..100 {
        for lines in [0, 1, 2, 3, 4, 5, 6, 24] {
            let mut state = state((200, 50));
            state.rows[0].process.reason = "\u{1b}[2J\nforged".into();
            for keys in ["", "/wo", "\r", "r", "x?", "x", "l"] {
                press(&mut state, keys);
                state.resize((columns, lines));
                let shown = frame(&state, "19:03:04", Paint::new(false));
                assert!(shown.len() <= lines, "{columns}x{lines} {keys}");
                let widest = shown.iter().map(|line| line.chars().count()).max().unwrap_or(0);
                assert!(widest <= columns, "{columns}x{lines} {keys} {shown:?}");
                assert!(!shown.iter().any(|line| line.contains(char::is_control)));
            }
        }
    }
    let one = state((30, 1));
    assert_eq!(seen(&one).trim_end(), "> web     running       50.0");
    let mut asked = state((12, 1));
    press(&mut asked, "r");
    assert_eq!(seen(&asked), "t web? [y/N]", "the question is seen, not the row");
}

#[test]
fn ten_thousand_rows_scroll() {
    let many: Vec<v1::Process> =
        (0..10_000).map(|i| process(i, &format!("p{i:05}"), v1::State::Running)).collect();
    let mut state = State::new((80, 24), SortArg::Name);
    state.sample(many, &v1::ListStatsResponse::default(), Wall(0));
    assert_eq!(frame(&state, "", Paint::new(false)).len(), 24);
    state.key(Key::End);
    assert!(seen(&state).contains("> p09999"), "{}", seen(&state));
    state.key(Key::PageUp);
    assert!(seen(&state).contains("> p09979"), "{}", seen(&state));
    state.key(Key::Home);
    state.key(Key::PageDown);
    assert!(seen(&state).contains("> p00020"), "{}", seen(&state));
    state.resize((80, 5));
    assert!(seen(&state).contains("> p00020"), "{}", seen(&state));
    state.resize((80, 50));
    assert!(seen(&state).contains("> p00020"));
}

#[test]
fn colors_follow_states_and_the_cursor_has_a_mark_of_its_own() {
    let paint = Paint::new(true);
    let lines = frame(&state((80, 8)), "", paint);
    assert!(lines[2].starts_with("\x1b[7m> web ") && lines[2].ends_with("\x1b[0m"), "{:?}", lines[2]);
    assert!(lines[3].contains("\x1b[32mrunning\x1b[0m"), "{:?}", lines[3]);
    assert!(lines[5].contains("\x1b[33mbackoff\x1b[0m"), "{:?}", lines[5]);
}

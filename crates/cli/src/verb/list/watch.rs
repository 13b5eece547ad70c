//! `list --watch`: the table again and again, over itself on a terminal, else one below the other.

use std::time::Duration;

use super::{document, gather};
use crate::UNREACHABLE;
use crate::args::ListArgs;
use crate::context;
use crate::find::Place;
use crate::render::table::{self, Look};
use crate::report::{Session, Stop};

/// Clears what is right of the cursor, everything below it, and goes home.
const REST_OF_LINE: &str = "\x1b[K";
const REST_OF_SCREEN: &str = "\x1b[J";
const HOME: &str = "\x1b[H";

pub(super) async fn run(
    session: &mut Session<'_>,
    args: &ListArgs,
    places: &[Place],
    interval: Duration,
) -> Result<(), Stop> {
    let screen = session.context.width.is_some() && !session.json();
    let (mut first, mut waiting) = (true, false);
    loop {
        let (rows, failures) = gather(session, args, places).await?;
        // Somebody who sits before it sees what is wrong, and a daemon that restarts comes back. What was wrong from the
        // start stays so, most likely.
        if !failures.is_empty() && !screen {
            let away = failures.iter().all(|failure| failure.code() == UNREACHABLE);
            if first || !away {
                for failure in &failures {
                    session.fail(failure);
                }
                return Ok(());
            }
            if !waiting {
                session.flush()?;
                session.say("(the daemon does not answer; waiting for it)")?;
            }
            waiting = true;
            tokio::time::sleep(interval).await;
            continue;
        }
        if waiting {
            session.say("(connected again)")?;
            waiting = false;
        }
        let window = context::window().filter(|_| screen);
        let width = window.map(|(columns, _)| columns).or(session.width()).filter(|_| !session.wide());
        let look = Look { now: session.now(), width, wide: session.wide() };
        if session.json() {
            session.write_json_line(&document(&rows, look))?;
        } else {
            let text = table::list(&rows, look, session.paint());
            let title = format!("{} processes at {}", rows.len(), session.clock().moment(look.now));
            if screen {
                let problems: String = failures.iter().map(|f| format!("error: {}\n", f.message)).collect();
                // A line that wraps would push the others down.
                let cut = |line: &str| {
                    line.chars().take(width.unwrap_or(usize::MAX)).chain(['\n']).collect::<String>()
                };
                let problems: String = problems.lines().map(cut).collect();
                let title = cut(&title).trim_end().to_owned();
                let text = if rows.is_empty() && !problems.is_empty() { problems } else { problems + &text };
                redraw(session, &title, &text, window.map(|(_, lines)| lines), first)?;
            } else {
                session.show(&format!("{}{title}\n{text}", if first { "" } else { "\n" }))?;
            }
        }
        session.flush()?;
        first = false;
        tokio::time::sleep(interval).await;
    }
}

/// Writes over what is there, in one piece: clearing first would flicker.
fn redraw(
    session: &mut Session<'_>,
    title: &str,
    text: &str,
    lines: Option<usize>,
    first: bool,
) -> Result<(), Stop> {
    let room = lines.map_or(usize::MAX, |lines| lines.saturating_sub(3).max(1));
    let missing = text.lines().count().saturating_sub(room);
    let kept: Vec<&str> = text.lines().take(room).collect();
    let more = if missing > 0 { format!("\n… {missing} more") } else { String::new() };
    let text = session.paint().finish(&format!("{title}\n{}{more}", kept.join("\n")));
    let text = text.replace('\n', &format!("{REST_OF_LINE}\n"));
    let start = if first { "\x1b[2J" } else { "" };
    session.raw(format!("{start}{HOME}{text}{REST_OF_LINE}\n{REST_OF_SCREEN}").as_bytes())
}

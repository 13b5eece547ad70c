//! Several processes' lines in one order: that of time until each has caught up with its past, then as they come.
//!
//! Lines of which the time is not known stand behind the lines before them in their log. Bound: one response (64 KiB,
//! or one line) of each process.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::Poll;

use model::Wall;
use rpc::v1;
use tokio::sync::mpsc;

use super::feed::Event;
use crate::report::Failure;
use crate::units::wall;

/// What is shown next of a process.
#[derive(Debug)]
pub(super) enum Item {
    Part(Part),
    /// Lines are missing here.
    Missed,
    /// Lines were left out of which too little is known.
    LeftOut,
    Note(String),
    Failed(Failure),
}

/// Some lines of one moment.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) bytes: Vec<u8>,
    pub(super) stream: v1::Stream,
    pub(super) run: Option<u64>,
    pub(super) at: Option<Wall>,
    pub(super) cursor: Option<String>,
}

/// One process.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) id: String,
    events: mpsc::Receiver<Event>,
    ready: VecDeque<Item>,
    /// The time of the last line whose time is known.
    last: Option<Wall>,
    caught_up: bool,
    left_out: bool,
    ended: bool,
}

impl Source {
    pub(super) fn new(name: String, id: String, events: mpsc::Receiver<Event>) -> Self {
        let ready = VecDeque::new();
        Self { name, id, events, ready, last: None, caught_up: false, left_out: false, ended: false }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether nothing may be shown before more is known of this one.
    pub(super) fn is_needed(&self) -> bool {
        self.ready.is_empty() && !self.caught_up && !self.ended
    }

    /// Takes what has come already; `false` = nothing.
    pub(super) fn take_ready(&mut self) -> bool {
        match self.events.try_recv() {
            Ok(event) => self.take(Some(event)),
            Err(mpsc::error::TryRecvError::Disconnected) => self.take(None),
            Err(mpsc::error::TryRecvError::Empty) => return false,
        }
        true
    }

    /// Waits for what comes next.
    pub(super) async fn take_next(&mut self) {
        let event = self.events.recv().await;
        self.take(event);
    }

    fn take(&mut self, event: Option<Event>) {
        match event {
            None => self.ended = true,
            Some(Event::Note(text)) => self.ready.push_back(Item::Note(text)),
            Some(Event::Failed(failure)) => self.ready.push_back(Item::Failed(failure)),
            Some(Event::Lines(lines)) => self.lines(&lines),
        }
    }

    fn lines(&mut self, lines: &v1::StreamLogsResponse) {
        if lines.missed || lines.dropped_lines > 0 {
            self.ready.push_back(Item::Missed);
        }
        // A new connection says it again.
        if lines.left_out && !std::mem::replace(&mut self.left_out, true) {
            self.ready.push_back(Item::LeftOut);
        }
        self.caught_up |= lines.caught_up;
        let (mut rest, unknown) = (lines.data.as_slice(), lines.stream());
        for part in &lines.parts {
            let (bytes, behind) =
                rest.split_at(usize::try_from(part.size).unwrap_or(rest.len()).min(rest.len()));
            rest = behind;
            self.ready.push_back(Item::Part(Part {
                bytes: bytes.to_vec(),
                stream: part.stream(),
                run: (part.run != 0).then_some(part.run),
                at: part.time.as_ref().map(wall),
                cursor: (!part.cursor.is_empty()).then(|| part.cursor.clone()),
            }));
        }
        if !rest.is_empty() {
            // An older daemon knows nothing of parts, nor of when it has caught up.
            self.caught_up = true;
            let part = Part { bytes: rest.to_vec(), stream: unknown, run: None, at: None, cursor: None };
            self.ready.push_back(Item::Part(part));
        }
    }

    /// Where it stands in time.
    fn at(&self) -> Option<Option<Wall>> {
        match self.ready.front()? {
            Item::Part(part) => Some(part.at.or(self.last)),
            _ => Some(self.last),
        }
    }
}

/// The earliest of what is ready; of equals that of the process that was named first.
pub(super) fn pick(sources: &mut [Source]) -> Option<(&Source, Item)> {
    let ready = sources.iter_mut().filter(|source| !source.ready.is_empty());
    let source = ready.min_by_key(|source| source.at())?;
    source.last = source.at()?;
    let item = source.ready.pop_front()?;
    Some((source, item))
}

/// Waits until something comes of any of them.
pub(super) async fn next_of_any(sources: &mut [Source]) {
    poll_fn(|cx| {
        let mut came = false;
        for source in sources.iter_mut().filter(|source| !source.ended) {
            if let Poll::Ready(event) = source.events.poll_recv(cx) {
                source.take(event);
                came = true;
            }
        }
        if came { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str, second: Option<i64>) -> v1::LogPart {
        let time = second.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 });
        v1::LogPart { size: u32::try_from(text.len()).unwrap(), time, ..Default::default() }
    }

    fn source(name: &str, lines: &[(&str, Option<i64>)], more: bool) -> (Source, mpsc::Sender<Event>) {
        let (sender, events) = mpsc::channel(8);
        for (i, (text, second)) in lines.iter().enumerate() {
            let response = v1::StreamLogsResponse {
                data: text.as_bytes().to_vec(),
                parts: vec![part(text, *second)],
                caught_up: !more && i + 1 == lines.len(),
                ..Default::default()
            };
            sender.try_send(Event::Lines(response)).unwrap();
        }
        (Source::new(name.to_owned(), String::new(), events), sender)
    }

    /// What can be shown before somebody has to be waited for.
    fn shown(sources: &mut [Source]) -> String {
        let mut text = String::new();
        loop {
            for source in sources.iter_mut() {
                while source.is_needed() {
                    if !source.take_ready() {
                        return text;
                    }
                }
            }
            let Some((_, item)) = pick(sources) else { return text };
            if let Item::Part(part) = item {
                text.push_str(std::str::from_utf8(&part.bytes).unwrap());
            }
        }
    }

    #[test]
    fn the_past_is_in_order_and_nothing_waits_for_those_that_have_caught_up() {
        let (a, _one) =
            source("a", &[("a1 ", Some(1)), ("a3 ", Some(3)), ("a? ", None), ("a6 ", Some(6))], false);
        let (b, _two) = source("b", &[("b2 ", Some(2)), ("b3 ", Some(3)), ("b9 ", Some(9))], false);
        assert_eq!(shown(&mut [a, b]), "a1 b2 a3 a? b3 a6 b9 ");
    }

    #[test]
    fn nothing_comes_before_what_may_be_earlier() {
        let (a, _one) = source("a", &[("a1 ", Some(1)), ("a5 ", Some(5))], false);
        let (b, two) = source("b", &[("b2 ", Some(2))], true);
        let mut sources = [a, b];
        assert_eq!(shown(&mut sources), "a1 b2 ");
        drop(two);
        assert_eq!(shown(&mut sources), "a5 ");
        assert!(sources[1].has_ended());
    }

    #[test]
    fn bytes_of_a_daemon_without_parts_are_shown() {
        let (mut a, _sender) = source("a", &[], false);
        a.lines(&v1::StreamLogsResponse { data: b"x\ny\n".to_vec(), dropped_lines: 3, ..Default::default() });
        assert!(matches!(a.ready.pop_front(), Some(Item::Missed)));
        assert!(matches!(a.ready.pop_front(), Some(Item::Part(part)) if part.bytes == b"x\ny\n"));
    }
}

//! What other threads tell the pipeline, in order.
//!
//! Bounds: 1024 attaches, after which a spawner waits (an attach is never lost: its pipe would have no reader); 4096
//! events, after which they are dropped and counted. The rest is bounded by those who send it: one `Finished` per
//! attach, one `Configure` per changed definition, one `Forget` per removed one; it never waits and is never lost,
//! because the supervisor's thread sends it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{Event, OutputSpec, ProcessName, ProcessRef, RunId};
use tokio::sync::Notify;

use crate::Source;

const ATTACHES_MAX: usize = 1024;
const EVENTS_MAX: usize = 4096;

/// One message.
pub(crate) enum Message {
    Attach(Box<Source>),
    Configure { process: ProcessRef, output: Box<OutputSpec> },
    Finished(RunId),
    Forget(ProcessName),
    Event(Box<Event>),
    Reopen,
    Shutdown(Duration),
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    attaches: usize,
    events: usize,
    closed: bool,
}

/// The queue. Its lock is held for a push or a swap, and free again when anybody is woken: who wakes up to find it taken
/// goes to sleep once more, and the other one wakes him again.
#[derive(Default)]
pub(crate) struct Mailbox {
    queue: Mutex<Queue>,
    room: Condvar,
    filled: Notify,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts in anything but attaches and events.
    pub(crate) fn post(&self, message: Message) {
        let mut queue = self.lock();
        if !queue.closed {
            queue.messages.push_back(message);
            drop(queue);
            self.filled.notify_one();
        }
    }

    /// Puts in an attach; waits for room. After the end of the pipeline the pipe's ends are just closed.
    pub(crate) fn post_attach(&self, source: Source) {
        let mut queue = self.lock();
        while queue.attaches >= ATTACHES_MAX && !queue.closed {
            queue = self.room.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if !queue.closed {
            queue.attaches += 1;
            queue.messages.push_back(Message::Attach(Box::new(source)));
            drop(queue);
            self.filled.notify_one();
        }
    }

    /// Puts in an event. `false` = no room.
    pub(crate) fn post_event(&self, event: &Event) -> bool {
        let mut queue = self.lock();
        if queue.closed || queue.events >= EVENTS_MAX {
            return false;
        }
        queue.events += 1;
        queue.messages.push_back(Message::Event(Box::new(event.clone())));
        drop(queue);
        self.filled.notify_one();
        true
    }

    /// Waits for messages and takes them all.
    pub(crate) async fn take(&self) -> VecDeque<Message> {
        loop {
            {
                let mut queue = self.lock();
                if !queue.messages.is_empty() {
                    let messages = std::mem::take(&mut queue.messages);
                    let was_full = std::mem::take(&mut queue.attaches) >= ATTACHES_MAX;
                    queue.events = 0;
                    drop(queue);
                    // A system call, whether or not somebody waits.
                    if was_full {
                        self.room.notify_all();
                    }
                    return messages;
                }
            }
            self.filled.notified().await;
        }
    }

    /// Nothing is taken out any more.
    pub(crate) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        queue.messages.clear();
        self.room.notify_all();
    }
}

//! The answer to one check, which is given exactly once whatever happens to the check.

use std::thread;

/// Called once with the answer: healthy, or what is wrong in words. From any thread; must neither block nor panic.
pub type Done = Box<dyn FnOnce(Result<(), String>) + Send>;

/// Owes somebody an answer. Dropped without one, it says why there is none: whoever waits is never forgotten.
pub(crate) struct Answer {
    /// `None` once given.
    done: Option<Done>,
    /// What is checked, in words.
    subject: String,
}

impl Answer {
    /// Owes `done` an answer about `subject`.
    pub(crate) fn new(subject: String, done: Done) -> Self {
        Self { done: Some(done), subject }
    }

    /// Gives it.
    pub(crate) fn give(mut self, result: Result<(), String>) {
        if let Some(done) = self.done.take() {
            done(result);
        }
    }
}

impl Drop for Answer {
    /// The runtime drops the tasks that it has not finished when it is shut down, and at once those that come later. A
    /// check that panics is dropped while its thread unwinds.
    fn drop(&mut self) {
        let Some(done) = self.done.take() else { return };
        let subject = &self.subject;
        done(Err(if thread::panicking() {
            format!("the check {subject} broke off: a defect of the daemon, its log says more")
        } else {
            format!("the check {subject} was broken off: the daemon is shutting down")
        }));
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    fn owed() -> (Answer, Receiver<Result<(), String>>) {
        let (sender, receiver) = channel();
        let done = Box::new(move |result| sender.send(result).unwrap());
        (Answer::new("tcp 127.0.0.1:80".to_owned(), done), receiver)
    }

    #[test]
    fn a_given_answer_is_the_only_one() {
        let (answer, received) = owed();
        answer.give(Ok(()));
        assert_eq!(received.iter().collect::<Vec<_>>(), [Ok(())]);
    }

    #[test]
    fn a_dropped_one_says_that_the_daemon_ends() {
        let (answer, received) = owed();
        drop(answer);
        let message = "the check tcp 127.0.0.1:80 was broken off: the daemon is shutting down".to_owned();
        assert_eq!(received.iter().collect::<Vec<_>>(), [Err(message)]);
    }

    #[test]
    fn a_panic_gives_one_too() {
        let (answer, received) = owed();
        let panicked = catch_unwind(AssertUnwindSafe(move || {
            let _answer = answer;
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        let answers: Vec<_> = received.iter().collect();
        assert_eq!(answers.len(), 1);
        assert!(answers[0].as_ref().unwrap_err().contains("a defect of the daemon"), "{answers:?}");
    }
}

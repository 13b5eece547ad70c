//! What processes say of themselves: who may, and what of it is believed.

use std::collections::HashMap;

use model::RunId;

use super::Driver;
use super::main_process::Named;
use crate::containment::Standing;
use crate::machine::{Input, Notice};
use crate::notify::{Heard, Said, count};

impl Driver {
    /// Reads up to `most` datagrams from the socket of a run, and makes inputs of what counts.
    pub(super) fn hear(&mut self, run: RunId, most: usize) {
        let Some(socket) = self.runs.take_socket(run) else { return };
        // Who floods does so from one process: one look at /proc for all that it says.
        let mut known = HashMap::new();
        for _ in 0..most {
            match socket.hear(&mut self.closer) {
                Some(Heard::Said(sender, said)) => {
                    let standing = *known.entry(sender).or_insert_with(|| self.runs.standing(run, sender));
                    self.weigh(run, standing, said);
                }
                Some(Heard::Unusable) => count(&self.shared.notices.unusable),
                Some(Heard::Stuck) => {
                    self.poller.remove(&socket);
                    count(&self.shared.notices.stuck);
                    break;
                }
                None => break,
            }
        }
        self.runs.give_socket(run, socket);
    }

    /// Makes an input of what counts.
    fn weigh(&mut self, run: RunId, standing: Standing, said: Said) {
        if standing == Standing::Stranger {
            count(&self.shared.notices.strangers);
            return;
        }
        count(&self.shared.notices.heard);
        let Said { mut notice, main_pid } = said;
        if let Some(claimed) = main_pid {
            let believed = claimed.filter(|_| standing == Standing::Member);
            match believed.map(|pid| (pid, self.name_main(run, pid))) {
                Some((pid, Named::Main)) => notice.main_pid = Some(pid),
                Some((_, Named::Found)) => {}
                Some((_, Named::Nobody)) | None => count(&self.shared.notices.main_pids),
            }
        }
        if notice != Notice::default() {
            self.turn.inputs.push_back(Input::Notified { run, notice });
        }
    }
}

//! Spawners side by side don't disturb one another.

use std::thread;

use sys::pidfd::Wait;
use sys::spawn::Spawner;

use crate::support::command;

#[test]
fn four_threads_spawn_two_hundred_each() {
    thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                let mut spawner = Spawner::new().unwrap();
                for number in 0..200 {
                    let name = format!("{thread}.{number}");
                    // Every third one fails, so that the ways cross.
                    let program = if number % 3 == 0 { "/no/such/program" } else { "/bin/echo" };
                    let (_, spawned) = command(&[program, &name]).spawn_with(&mut spawner);
                    match spawned {
                        Ok(mut running) => {
                            assert_ne!(number % 3, 0);
                            // Its own line, all of it, and then the end: no other child holds this pipe.
                            assert_eq!(running.rest(), format!("{name}\n"));
                            assert_eq!(running.end().status, Wait::Code(0));
                        }
                        Err(error) => assert_eq!(number % 3, 0, "{error}"),
                    }
                }
            });
        }
    });
}

//! `wait`: until processes are up, have ended, or are down.

use rpc::{ClientError, v1};

use crate::FAILED;
use crate::args::look::{ConditionArg, WaitArgs};
use crate::render;
use crate::report::{Failure, Session, Stop};
use crate::verb::each::each;

/// What came of it.
enum Outcome {
    Done(Box<v1::Process>),
    /// The time is up; the process as it is now, where that can be told.
    TimedOut(String, Option<Box<v1::Process>>),
}

pub(super) async fn run(session: &mut Session<'_>, args: WaitArgs) -> Result<(), Stop> {
    let found = session.connect().await?;
    let (condition, word) = match args.condition {
        ConditionArg::Ready => (v1::WaitCondition::Ready, "ready"),
        ConditionArg::Healthy => (v1::WaitCondition::Healthy, "healthy"),
        ConditionArg::Exited => (v1::WaitCondition::Exited, "exited"),
        ConditionArg::Stopped => (v1::WaitCondition::Stopped, "stopped"),
    };
    let call = move |mut client: rpc::Client, name: String| async move {
        match client.wait(&name, condition).await {
            Ok(process) => Ok(Outcome::Done(Box::new(process))),
            Err(ClientError::TimedOut(_)) => {
                let now = client.get(&name).await.ok();
                Ok(Outcome::TimedOut(name, now.map(Box::new)))
            }
            Err(error) => Err(error),
        }
    };
    let outcomes = each(session, &found.client, args.names, call).await?;
    let mut done = Vec::new();
    for outcome in outcomes {
        match outcome {
            Outcome::Done(process) => done.push(*process),
            Outcome::TimedOut(name, now) => {
                let limit = session
                    .global
                    .timeout
                    .map_or_else(String::new, |limit| format!(" within {}", crate::units::setting(limit)));
                let is = now.as_ref().map_or_else(String::new, |process| {
                    format!("; now {}", render::standing(process, render::Paint::new(false)))
                });
                let failure = Failure::new(FAILED, format!("{name}: not {word}{limit}{is}"));
                let hint = match args.condition {
                    ConditionArg::Ready | ConditionArg::Healthy => {
                        format!("pm-cli why {name} tells what it waits for")
                    }
                    ConditionArg::Exited | ConditionArg::Stopped => format!("pm-cli stop {name} stops it"),
                };
                session.fail(&failure.with_hint(hint));
            }
        }
    }
    if done.is_empty() && !session.json() {
        return Ok(());
    }
    render::outcome(session, &done)
}

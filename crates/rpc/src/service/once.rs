//! Calls that change something: each is carried out in a task of its own, so that it is recorded and its answer is known
//! also when its caller left; and one that carries the id of an earlier one answers what that one answered.

use prost::Message;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::audit::{self, Act};
use super::repeats::{Begin, Key, Outcome};
use super::{Call, Service};
use crate::auth::{Caller, Method, Peer};
use crate::who::Who;
use crate::{ControlError, ErrorKind, signal, v1};

/// Longest id.
const MAX_ID: usize = 64;

/// A request that changes something: what its record tells of it.
pub(super) trait Mutating: Message {
    /// What the caller called the process; empty = it names none.
    fn target(&self) -> &str {
        ""
    }
    fn request_id(&self) -> &str {
        ""
    }
    fn dry_run(&self) -> bool {
        false
    }
    fn detail(&self) -> String {
        String::new()
    }
}

macro_rules! mutating {
    ($($request:ident: $($fact:ident)*;)+) => {
        $(impl Mutating for v1::$request {
            $(mutating!(@ $fact);)*
        })+
    };
    (@ name) => {
        fn target(&self) -> &str {
            &self.name
        }
    };
    (@ id) => {
        fn request_id(&self) -> &str {
            &self.request_id
        }
    };
    (@ dry_run) => {
        fn dry_run(&self) -> bool {
            self.dry_run
        }
    };
    (@ force) => {
        fn detail(&self) -> String {
            if self.force { "by force".to_owned() } else { String::new() }
        }
    };
    (@ signal) => {
        fn detail(&self) -> String {
            let signal = signal::wanted(self).map_or_else(|_| self.signal.clone(), |signal| signal.to_string());
            format!("{signal}{}", if self.all { " to all" } else { "" })
        }
    };
}

mutating! {
    CreateProcessRequest: name id dry_run;
    StartProcessRequest: name id;
    StopProcessRequest: name id;
    RestartProcessRequest: name id;
    ReloadProcessRequest: name id;
    SignalProcessRequest: name id signal;
    ResetProcessRequest: name id;
    UpdateProcessRequest: name id dry_run;
    DeleteProcessRequest: name id force;
    SetOverrideRequest: name id dry_run;
    ReloadConfigRequest: id dry_run;
    EnableProcessRequest: name id;
    DisableProcessRequest: name id;
    RotateTokenRequest: id;
    ReopenLogsRequest: ;
}

impl Service {
    /// Who calls, if that is allowed to call this method, once the daemon knows its processes. A refusal is recorded.
    pub(super) async fn admit<T>(
        &self,
        request: &Request<T>,
        method: Method,
        act: impl FnOnce() -> Act,
    ) -> Result<Caller, ControlError> {
        let peer = request.extensions().get::<Peer>().copied();
        let peer =
            peer.ok_or_else(|| ControlError::new(ErrorKind::Internal, "a connection without a peer"))?;
        let header = request.metadata().get("authorization").map(|h| h.as_bytes().to_vec());
        let (caller, refusal) = match self.policy.identify(peer, header).await {
            Ok(caller) => (Some(caller), self.policy.check(caller, method).err()),
            Err(error) => (None, Some(error)),
        };
        match (caller, refusal) {
            (Some(caller), None) => Ok(caller),
            (caller, refusal) => {
                let error =
                    refusal.unwrap_or_else(|| ControlError::new(ErrorKind::Internal, "nobody called"));
                audit::refused(&self.policy.denied, peer, caller.map(|caller| caller.role), &error, act);
                Err(error)
            }
        }
    }

    /// The same for a call that reads, about what the caller calls `target`.
    pub(super) async fn admit_reader<T>(
        &self,
        request: &Request<T>,
        method: Method,
        target: &str,
    ) -> Result<Caller, Status> {
        let act = || Act::reading(method, target, &self.control.snapshot());
        let caller = self.admit(request, method, act).await?;
        if method != Method::GetStatus {
            self.until_ready().await?;
        }
        Ok(caller)
    }

    /// Carries out a call that changes something, once for each id, to its end, whether or not the caller is still there,
    /// and records it.
    pub(super) async fn once<Q, A, F>(
        &self,
        request: Request<Q>,
        method: Method,
        work: impl FnOnce(Self, Call, Q) -> F + Send + 'static,
    ) -> Result<Response<A>, Status>
    where
        Q: Mutating,
        A: Message + Default + 'static,
        F: Future<Output = Result<A, ControlError>> + Send + 'static,
    {
        let act = || Act::of(method, request.get_ref(), &self.control.snapshot());
        let caller = self.admit(&request, method, act).await?;
        let waited = self.until_ready().await;
        // Not before: until then nobody knows the processes.
        let call = Call::new(caller, act());
        let asked = request.into_inner();
        match self.begin(waited, &call, method, &asked) {
            Err(error) => {
                call.act.answered(caller, Some(&error));
                Err(error.into())
            }
            Ok(Start::Known(outcome)) => {
                call.act.repeated(caller);
                Ok(Response::new(decode(&answer(outcome).await?)?))
            }
            Ok(Start::Fresh(kept)) => {
                let carried = self.carry_out(call.clone(), work(self.clone(), call, asked), kept);
                Ok(Response::new(decode(&answer(carried).await?)?))
            }
        }
    }

    /// What to do with a call.
    fn begin(
        &self,
        waited: Result<(), ControlError>,
        call: &Call,
        method: Method,
        asked: &impl Mutating,
    ) -> Result<Start, ControlError> {
        waited?;
        let id = asked.request_id();
        if id.is_empty() {
            return Ok(Start::Fresh(None));
        }
        check(id)?;
        let key = Key { method: method.as_str(), id: id.to_owned() };
        let who = Who::from(call.caller);
        match self.repeats.begin(who, &key, &asked.encode_to_vec()) {
            Begin::Known(outcome) => Ok(Start::Known(outcome)),
            Begin::Fresh(tell) => Ok(Start::Fresh(Some((who, key, tell)))),
            Begin::Other => Err(used(id)),
            Begin::Full(text) => Err(ControlError::new(ErrorKind::Busy, text)
                .with_hint("wait until some of them have ended, or make the call without a request_id")),
        }
    }

    /// Runs the work in a task of its own. Its end is recorded and kept before anybody hears of it.
    fn carry_out<A: Message>(
        &self,
        call: Call,
        work: impl Future<Output = Result<A, ControlError>> + Send + 'static,
        kept: Option<(Who, Key, watch::Sender<Option<Outcome>>)>,
    ) -> watch::Receiver<Option<Outcome>> {
        let (kept, tell) = match kept {
            Some((who, key, tell)) => (Some((who, key)), tell),
            None => (None, watch::channel(None).0),
        };
        let outcome = tell.subscribe();
        let repeats = self.repeats.clone();
        tokio::spawn(async move {
            // A second task, so that a fault in the work ends only that.
            let work = async { work.await.map(|answer| answer.encode_to_vec()) };
            let result = tokio::spawn(work).await.unwrap_or_else(|fault| {
                Err(ControlError::new(ErrorKind::Internal, format!("the operation broke off: {fault}")))
            });
            let result = result.map_err(|error| error.about(call.act.target()));
            call.act.answered(call.caller, result.as_ref().err());
            if let Some((who, key)) = &kept {
                repeats.ended(*who, key, &result);
            }
            tell.send_replace(Some(result));
        });
        outcome
    }
}

/// What to do with a call.
enum Start {
    /// Carry it out, and say here how it went, where somebody may ask again.
    Fresh(Option<(Who, Key, watch::Sender<Option<Outcome>>)>),
    /// It was, or is being, carried out.
    Known(watch::Receiver<Option<Outcome>>),
}

async fn answer(mut outcome: watch::Receiver<Option<Outcome>>) -> Outcome {
    let known = outcome.wait_for(Option::is_some).await.map(|known| known.clone());
    known
        .ok()
        .flatten()
        .unwrap_or_else(|| Err(ControlError::new(ErrorKind::Internal, "the operation broke off")))
}

fn decode<A: Message + Default>(raw: &[u8]) -> Result<A, ControlError> {
    let broken = |e| ControlError::new(ErrorKind::Internal, format!("an answer that was kept: {e}"));
    A::decode(raw).map_err(broken)
}

fn check(id: &str) -> Result<(), ControlError> {
    if id.len() <= MAX_ID && id.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    let text = format!("request_id is not 1 to {MAX_ID} visible ASCII characters");
    Err(ControlError::invalid("request_id", text).with_hint("a UUID is a good one"))
}

fn used(id: &str) -> ControlError {
    ControlError::invalid("request_id", format!("another request was made with the id {id}"))
        .with_hint("use a new id for each request, and the same one only to repeat it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_visible_ascii() {
        for good in ["x", &"x".repeat(64), "a/b:c-~"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["a b", "\n", "é", "\u{1b}[2J", &"x".repeat(65)] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}

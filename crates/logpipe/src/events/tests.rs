//! One entry for each kind of event, with a sentence, an id and its fields.

use model::{
    HookKind, InvocationId, Lack, ProcessId, ProcessName, ProcessRef, Reason, RunNumber, Seq, Signal,
    SpawnFailure, SpawnStage, Stamp, Usage,
};

use super::*;
use crate::entry::decode::{Fields, entries, get};

pub(crate) fn event(kind: EventKind) -> Event {
    Event {
        seq: Seq(1),
        at: Stamp::default(),
        process: ProcessRef {
            name: ProcessName::new("web").unwrap(),
            id: ProcessId::from_digest([0, 0, 0, 0, 0, 1]),
        },
        run: Some((RunNumber(4), InvocationId(5))),
        pid: Some(812),
        kind,
    }
}

pub(crate) fn kinds() -> Vec<EventKind> {
    let failure = SpawnFailure {
        stage: SpawnStage::Exec,
        errno: 2,
        subject: "/bin/nope".into(),
        message: "No such file or directory".into(),
        hint: "check command:".into(),
    };
    let second = Duration::from_secs(1);
    let exited = |status, reason| EventKind::Exited { status, reason, ran: second, usage: Usage::default() };
    vec![
        EventKind::Created,
        EventKind::Updated { keys: vec!["env"] },
        EventKind::Removed,
        EventKind::Invalid { problem: "a.yaml:3:1: unknown key\n  |\n3 | comand: x".into() },
        EventKind::Started { took: Duration::from_micros(1500) },
        EventKind::SpawnFailed(failure),
        exited(ExitStatus::Code(3), ExitReason::ExitCode),
        EventKind::RestartScheduled { delay: Duration::from_millis(1500), restarts: 7 },
        EventKind::StartLimitReached { burst: 5, interval: second, cooldown: None },
        EventKind::Stopping { signal: Signal::TERM },
        EventKind::StopTimedOut { timeout: second },
        EventKind::LeftoversKilled { pids: vec![1, 2] },
        EventKind::Survivors { pids: vec![3] },
        EventKind::Stopped,
        EventKind::Ready { took: second },
        EventKind::Skipped { condition: "!/etc/nologin".into() },
        EventKind::Held { reason: Reason::Lacks(ProcessName::new("db").unwrap(), Lack::Failed) },
        EventKind::HookFailed { hook: HookKind::StartPre, why: "exit code 1".into(), ignored: true },
        EventKind::StartTimedOut { timeout: second },
        EventKind::WatchdogExpired { timeout: second },
        EventKind::Health { state: HealthState::Unhealthy, message: "connection refused".into() },
        EventKind::Reloading,
        EventKind::Reloaded,
        EventKind::MainProcess { pid: 813 },
        EventKind::CriticalEnded { code: 143 },
        EventKind::OomKilled { kills: 1 },
        EventKind::Degraded { problem: "resource_limits.cpu_max is not in force: no".into() },
        exited(ExitStatus::Signal { signal: Signal::KILL, core: false }, ExitReason::Signal),
        exited(ExitStatus::Signal { signal: Signal::KILL, core: true }, ExitReason::Signal),
        exited(ExitStatus::Code(0), ExitReason::Stopped),
    ]
}

pub(crate) fn encoded(kind: EventKind) -> Fields {
    let mut out = Vec::new();
    encode(&mut out, &event(kind));
    let mut all = entries(&out);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn the_ids_are_those_of_all_kinds() {
    let mut named = EventKind::NAMES.to_vec();
    let mut with_id: Vec<&str> = MESSAGE_IDS.iter().map(|(name, _)| *name).collect();
    named.sort_unstable();
    with_id.sort_unstable();
    assert_eq!(named, with_id);
}

#[test]
fn every_kind_has_its_own_message_id_and_a_sentence_that_grep_finds() {
    for (kind, (name, id)) in kinds().into_iter().zip(MESSAGE_IDS) {
        assert_eq!(kind.as_str(), name);
        let fields = encoded(kind);
        assert_eq!(get(&fields, "EVENT"), name);
        assert_eq!(get(&fields, "MESSAGE_ID"), id);
        assert_eq!(get(&fields, "SYSLOG_IDENTIFIER"), "dd-procmgrd");
        assert_eq!(get(&fields, "PROCESS_NAME"), "web");
        let message = get(&fields, "MESSAGE");
        assert!(message.starts_with("web ") && message.contains("process_id=000000000001"), "{message}");
    }
    let mut ids: Vec<_> = MESSAGE_IDS.iter().map(|(_, id)| id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), MESSAGE_IDS.len());
    assert!(
        ids.iter().all(|id| id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
    );
}

#[test]
fn sentences() {
    let texts: Vec<String> = kinds().into_iter().map(|k| describe(&event(k))).collect();
    let tail = "[pid=812 run=4 process_id=000000000001]";
    assert_eq!(texts[4], format!("web started within 1.5 ms {tail}"));
    assert_eq!(
        texts[5],
        format!(
            "web could not start: executing the program \"/bin/nope\": No such file or directory (check command:) {tail}"
        )
    );
    assert_eq!(texts[6], format!("web ended with exit code 3 after 1.0 s {tail}"));
    assert_eq!(texts[7], format!("web will be restarted in 1.5 s (restart 7) {tail}"));
    assert_eq!(texts[14], format!("web is up after 1.0 s {tail}"));
    assert_eq!(
        texts[15],
        format!("web is not started: condition_path_exists !/etc/nologin does not hold {tail}")
    );
    assert_eq!(texts[16], format!("web can't be started yet: it needs db, which has failed {tail}"));
    assert_eq!(texts[17], format!("web failed in exec_start_pre: exit code 1 (ignored) {tail}"));
    assert_eq!(texts[18], format!("web was not up within 1.0 s (start_timeout); it is being stopped {tail}"));
    assert_eq!(
        texts[19],
        format!("web sent no WATCHDOG=1 within 1.0 s (watchdog_sec); it is being stopped {tail}")
    );
    assert_eq!(texts[20], format!("web is unhealthy: connection refused {tail}"));
    assert_eq!(texts[23], format!("web has a new main process: pid 813 {tail}"));
    assert_eq!(
        texts[24],
        format!("web is critical and ended for good: the daemon ends with exit code 143 {tail}")
    );
    assert_eq!(texts[25], format!("web lost a process: the kernel killed it, as memory ran out {tail}"));
    assert_eq!(texts[26], format!("web runs, but resource_limits.cpu_max is not in force: no {tail}"));
    let status = ExitStatus::Signal { signal: Signal::KILL, core: false };
    let ran = Duration::from_secs(2);
    let oom = EventKind::Exited { status, reason: ExitReason::Oom, ran, usage: Usage::default() };
    assert_eq!(
        describe(&event(oom)),
        format!("web was killed by the kernel after 2.0 s: out of memory {tail}")
    );
    assert_eq!(texts[29], format!("web ended as asked with exit code 0 after 1.0 s {tail}"));
}

#[test]
fn what_the_event_has_becomes_fields() {
    let all: Vec<Fields> = kinds().into_iter().map(encoded).collect();
    assert_eq!((get(&all[6], "EXIT_CODE"), get(&all[6], "EXIT_STATUS")), ("exited".into(), "3".into()));
    assert_eq!((get(&all[27], "EXIT_CODE"), get(&all[27], "EXIT_STATUS")), ("killed".into(), "9".into()));
    assert_eq!(get(&all[28], "EXIT_CODE"), "dumped");
    assert_eq!(
        (get(&all[7], "RESTART_COUNT"), get(&all[7], "RESTART_DELAY_USEC")),
        ("7".into(), "1500000".into())
    );
    assert_eq!(get(&all[5], "ERRNO"), "2");
    let priorities: Vec<u8> = kinds().iter().map(priority).collect();
    assert_eq!(
        priorities,
        [6, 6, 6, 3, 6, 3, 4, 6, 3, 6, 4, 4, 3, 6, 6, 6, 4, 4, 3, 3, 4, 6, 6, 6, 3, 4, 4, 4, 3, 6],
        "in the order of kinds()"
    );
    let fatal = EventKind::HookFailed { hook: HookKind::StartPre, why: String::new(), ignored: false };
    assert_eq!(priority(&fatal), 3);
    let well = EventKind::Health { state: HealthState::Healthy, message: String::new() };
    assert_eq!((priority(&well), describe(&event(well)).starts_with("web is healthy [")), (6, true));
}

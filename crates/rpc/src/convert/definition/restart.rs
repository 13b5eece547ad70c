//! What follows an exit, and how a process is stopped.

use model::{ExitMatcher, KillMode, MetricsDetail, OnStartLimit, RestartPolicy};

use super::check::Check;
use crate::v1;

pub(super) fn policy(policy: RestartPolicy) -> v1::RestartPolicy {
    match policy {
        RestartPolicy::Always => v1::RestartPolicy::Always,
        RestartPolicy::OnFailure => v1::RestartPolicy::OnFailure,
        RestartPolicy::OnSuccess => v1::RestartPolicy::OnSuccess,
        RestartPolicy::Never => v1::RestartPolicy::Never,
    }
}

pub(super) fn on_start_limit(action: OnStartLimit) -> v1::OnStartLimit {
    match action {
        OnStartLimit::Cooldown => v1::OnStartLimit::Cooldown,
        OnStartLimit::Fail => v1::OnStartLimit::Fail,
    }
}

pub(super) fn kill_mode(mode: KillMode) -> v1::KillMode {
    match mode {
        KillMode::ControlGroup => v1::KillMode::ControlGroup,
        KillMode::Mixed => v1::KillMode::Mixed,
        KillMode::Process => v1::KillMode::Process,
    }
}

pub(super) fn metrics(detail: MetricsDetail) -> v1::MetricsDetail {
    match detail {
        MetricsDetail::Full => v1::MetricsDetail::Full,
        MetricsDetail::Basic => v1::MetricsDetail::Basic,
        MetricsDetail::Off => v1::MetricsDetail::Off,
    }
}

pub(super) fn matchers(list: Vec<ExitMatcher>) -> v1::ExitMatcherList {
    let values = list.into_iter().map(|matcher| v1::ExitMatcher {
        status: Some(match matcher {
            ExitMatcher::Code(code) => v1::exit_matcher::Status::Code(code.into()),
            ExitMatcher::Signal(signal) => v1::exit_matcher::Status::Signal(signal.to_string()),
        }),
    });
    v1::ExitMatcherList { values: values.collect() }
}

impl Check {
    pub(super) fn policy(&mut self, field: &str, raw: i32) -> Option<RestartPolicy> {
        self.choice(field, raw, |w| match w {
            v1::RestartPolicy::Unspecified => None,
            v1::RestartPolicy::Always => Some(RestartPolicy::Always),
            v1::RestartPolicy::OnFailure => Some(RestartPolicy::OnFailure),
            v1::RestartPolicy::OnSuccess => Some(RestartPolicy::OnSuccess),
            v1::RestartPolicy::Never => Some(RestartPolicy::Never),
        })
    }

    pub(super) fn on_start_limit(&mut self, field: &str, raw: i32) -> Option<OnStartLimit> {
        self.choice(field, raw, |w| match w {
            v1::OnStartLimit::Unspecified => None,
            v1::OnStartLimit::Cooldown => Some(OnStartLimit::Cooldown),
            v1::OnStartLimit::Fail => Some(OnStartLimit::Fail),
        })
    }

    pub(super) fn metrics(&mut self, field: &str, raw: i32) -> Option<MetricsDetail> {
        self.choice(field, raw, |w| match w {
            v1::MetricsDetail::Unspecified => None,
            v1::MetricsDetail::Full => Some(MetricsDetail::Full),
            v1::MetricsDetail::Basic => Some(MetricsDetail::Basic),
            v1::MetricsDetail::Off => Some(MetricsDetail::Off),
        })
    }

    pub(super) fn kill_mode(&mut self, field: &str, raw: i32) -> Option<KillMode> {
        self.choice(field, raw, |w| match w {
            v1::KillMode::Unspecified => None,
            v1::KillMode::ControlGroup => Some(KillMode::ControlGroup),
            v1::KillMode::Mixed => Some(KillMode::Mixed),
            v1::KillMode::Process => Some(KillMode::Process),
        })
    }

    pub(super) fn matchers(
        &mut self,
        field: &str,
        list: Option<v1::ExitMatcherList>,
    ) -> Option<Vec<ExitMatcher>> {
        let mut matchers = Vec::new();
        for matcher in list?.values {
            match matcher.status {
                Some(v1::exit_matcher::Status::Code(code)) => match u8::try_from(code) {
                    Ok(code) => matchers.push(ExitMatcher::Code(code)),
                    Err(_) => self.fault(field, format!("{code} is not an exit code from 0 to 255")),
                },
                Some(v1::exit_matcher::Status::Signal(text)) => {
                    matchers.extend(self.signal(field, &text).map(ExitMatcher::Signal));
                }
                None => self.fault(field, "a matcher needs an exit code or a signal"),
            }
        }
        Some(matchers)
    }
}

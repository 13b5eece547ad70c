//! What is read again with the definitions although it is none: certificates, passwords and tokens of the ports.

use std::sync::Arc;

use rpc::Tls;
use tls::{Live, Protocol};

use crate::settings::Settings;

/// Keys of every port that has some.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    grpc: Option<Tls>,
    web: Option<Arc<metrics::Web>>,
}

impl Keys {
    /// Reads them for the first time. What can't be read keeps its port closed and nothing else: it is in the log, and in
    /// `pm-cli status`.
    pub(crate) fn read(settings: &Settings) -> Self {
        let grpc = settings.tls.as_ref().filter(|_| settings.grpc.is_some()).map(|(files, auth)| {
            let live = Arc::new(Live::new(Protocol::Http2));
            tell("the control port", live.load(files, *auth).err().map(|e| e.to_string()), &warnings(&live));
            Tls { live, auth: *auth }
        });
        let path = settings.web_config.as_deref().filter(|_| settings.metrics.is_some());
        let web = path.map(|path| {
            let web = Arc::new(metrics::Web::new(path));
            tell("the metrics port", web.reload().err().map(|e| e.to_string()), &web.warnings());
            web
        });
        Self { grpc, web }
    }

    /// For the control port.
    pub(crate) fn grpc(&self) -> Option<Tls> {
        self.grpc.clone()
    }

    /// For the metrics port.
    pub(crate) fn web(&self) -> Option<Arc<metrics::Web>> {
        self.web.clone()
    }

    /// Reads all again. Open connections go on; where something can't be used, what was there before stays.
    pub(crate) async fn reload(&self) {
        let keys = self.clone();
        let read = move || {
            if let Some(Tls { live, .. }) = &keys.grpc {
                tell("the control port", live.reload().err().map(|e| e.to_string()), &warnings(live));
            }
            if let Some(web) = &keys.web {
                tell("the metrics port", web.reload().err().map(|e| e.to_string()), &web.warnings());
            }
        };
        if tokio::task::spawn_blocking(read).await.is_err() {
            tracing::error!("reading keys and certificates again broke off");
        }
    }

    /// What is wrong now, as problems of a reload are written.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(Tls { live, .. }) = &self.grpc {
            problems.extend(live.problem().map(|problem| format!("error: {problem}")));
            problems.extend(warnings(live).into_iter().map(|warning| format!("warning: {warning}")));
        }
        if let Some(web) = &self.web {
            problems.extend(web.problem().map(|problem| format!("error: {problem}")));
            problems.extend(web.warnings().into_iter().map(|warning| format!("warning: {warning}")));
        }
        // One file may be used by both ports.
        problems.dedup();
        problems
    }
}

fn warnings(live: &Live) -> Vec<String> {
    live.warnings().iter().map(ToString::to_string).collect()
}

fn tell(port: &str, problem: Option<String>, warnings: &[String]) {
    if let Some(problem) = problem {
        tracing::error!("keys of {port}, which are not taken up: {problem}");
    }
    for warning in warnings {
        tracing::warn!("keys of {port}: {warning}");
    }
}

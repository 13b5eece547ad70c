//! Where the output of a process goes.

use std::path::PathBuf;

use model::Output;

use super::check::Check;
use super::path_text;
use crate::v1;

pub(super) fn target(output: Output) -> v1::OutputTarget {
    let (kind, path) = match output {
        Output::Capture => (v1::OutputKind::Capture, PathBuf::new()),
        Output::File(path) => (v1::OutputKind::File, path),
        Output::Null => (v1::OutputKind::Null, PathBuf::new()),
        Output::Inherit => (v1::OutputKind::Inherit, PathBuf::new()),
        Output::Direct(path) => (v1::OutputKind::Direct, path),
    };
    v1::OutputTarget { kind: kind.into(), path: path_text(path) }
}

impl Check {
    pub(super) fn output(&mut self, field: &str, target: Option<v1::OutputTarget>) -> Option<Output> {
        let target = target?;
        let needs_path = matches!(target.kind(), v1::OutputKind::File | v1::OutputKind::Direct);
        if needs_path && target.path.is_empty() {
            self.fault(field, "this kind of target needs a path");
        }
        let path = PathBuf::from(target.path);
        self.choice(field, target.kind, |kind| match kind {
            v1::OutputKind::Unspecified => None,
            v1::OutputKind::Capture => Some(Output::Capture),
            v1::OutputKind::File => Some(Output::File(path.clone())),
            v1::OutputKind::Null => Some(Output::Null),
            v1::OutputKind::Inherit => Some(Output::Inherit),
            v1::OutputKind::Direct => Some(Output::Direct(path.clone())),
        })
    }
}

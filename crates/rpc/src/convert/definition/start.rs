//! How a process comes up: its type, its conditions, its files of variables.

use std::path::PathBuf;

use model::{EnvironmentFile, PathCondition, ProcessType};

use super::check::Check;
use super::path_text;
use crate::v1;

pub(super) fn kind(kind: ProcessType) -> v1::ProcessType {
    match kind {
        ProcessType::Simple => v1::ProcessType::Simple,
        ProcessType::Notify => v1::ProcessType::Notify,
        ProcessType::Oneshot => v1::ProcessType::Oneshot,
        ProcessType::Forking => v1::ProcessType::Forking,
    }
}

pub(super) fn conditions(list: Vec<PathCondition>) -> v1::PathConditionList {
    let values = list
        .into_iter()
        .map(|condition| v1::PathCondition { path: path_text(condition.path), negated: condition.negated });
    v1::PathConditionList { values: values.collect() }
}

pub(super) fn environment_files(list: Vec<EnvironmentFile>) -> v1::EnvironmentFileList {
    let values = list
        .into_iter()
        .map(|file| v1::EnvironmentFile { path: path_text(file.path), may_be_missing: file.optional });
    v1::EnvironmentFileList { values: values.collect() }
}

impl Check {
    pub(super) fn kind(&mut self, field: &str, raw: i32) -> Option<ProcessType> {
        self.choice(field, raw, |w| match w {
            v1::ProcessType::Unspecified => None,
            v1::ProcessType::Simple => Some(ProcessType::Simple),
            v1::ProcessType::Notify => Some(ProcessType::Notify),
            v1::ProcessType::Oneshot => Some(ProcessType::Oneshot),
            v1::ProcessType::Forking => Some(ProcessType::Forking),
        })
    }

    pub(super) fn conditions(
        &mut self,
        field: &str,
        list: Option<v1::PathConditionList>,
    ) -> Option<Vec<PathCondition>> {
        Some(self.items(field, list?.values, |check, field, item| {
            let path = check.path(field, item.path)?;
            Some(PathCondition { path, negated: item.negated })
        }))
    }

    pub(super) fn environment_files(
        &mut self,
        field: &str,
        list: Option<v1::EnvironmentFileList>,
    ) -> Option<Vec<EnvironmentFile>> {
        Some(self.items(field, list?.values, |check, field, item| {
            let path = check.path(field, item.path)?;
            Some(EnvironmentFile { path, optional: item.may_be_missing })
        }))
    }

    /// A path inside an item. Only that there is one: which paths are good is for `config` to judge.
    fn path(&mut self, item: &str, path: String) -> Option<PathBuf> {
        if path.is_empty() {
            self.fault(&format!("{item}.path"), "the path is missing");
            return None;
        }
        Some(PathBuf::from(path))
    }
}

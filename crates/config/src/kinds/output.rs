//! `stdout` and `stderr`.

use std::path::PathBuf;

use model::Output;
use serde_yaml::Value;

use super::paths::check_file;
use super::{Kind, replaced_as_a_whole};
use crate::fault::Faults;
use crate::suggest::closest;
use crate::tree::{Node, Yaml, quoted};

/// Where a stream goes.
pub(crate) struct OutputKind;

const WAYS: &str = "write capture, null, inherit, an absolute path, or direct:/path";

impl Kind for OutputKind {
    type Value = Output;
    const WORDS: &'static str = "`capture`, `null`, `inherit`, an absolute path, or `direct:/path`";

    fn read(node: &Node, faults: &mut Faults) -> Option<Output> {
        let text = match &node.value {
            Yaml::Null(text) if !text.is_empty() => return Some(Output::Null),
            Yaml::Text(text) => text.as_str(),
            other => {
                faults.value(format!("expected a target for output, found {other}"), WAYS);
                return None;
            }
        };
        let path = |text: &str| PathBuf::from(text);
        match text {
            "capture" => Some(Output::Capture),
            "null" => Some(Output::Null),
            "inherit" => Some(Output::Inherit),
            _ => match text.strip_prefix("direct:") {
                Some(direct) => Some(Output::Direct(path(direct))),
                None if text.starts_with('/') => Some(Output::File(path(text))),
                None => {
                    let known = [
                        ("capture", "capture"),
                        ("null", "null"),
                        ("/dev/null", "null"),
                        ("none", "null"),
                        ("inherit", "inherit"),
                        ("journal", "capture"),
                    ];
                    let hint = match closest(text, known) {
                        Some(word) if !text.contains(['/', '.']) => format!("did you mean `{word}`?"),
                        _ => format!("a path must be absolute; {WAYS}"),
                    };
                    faults.value(format!("{} is neither a target nor an absolute path", quoted(text)), hint);
                    None
                }
            },
        }
    }

    fn check(value: &Output, faults: &mut Faults) {
        if let Output::File(path) | Output::Direct(path) = value {
            check_file(path, faults);
        }
    }

    fn write(value: &Output) -> Value {
        value.to_string().into()
    }

    replaced_as_a_whole!();
}

//! Field masks: which fields of a message are meant.
//!
//! A mask works on the encoded message, with the names and numbers of the compiled proto file: so it knows every field
//! there is without a table of its own, also those that come later.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FileDescriptorSet};

use crate::lookup::distance;
use crate::{ControlError, DESCRIPTOR};

/// Longest part of a wrong path that is told back.
const MAX_SHOWN: usize = 64;
/// Most paths of a mask: more than there are fields.
const MAX_PATHS: usize = 1_000;

/// A field of a message.
#[derive(Debug)]
struct Field {
    number: u64,
    /// The message that it holds, where it holds one and not a list of them.
    message: Option<String>,
}

type Fields = HashMap<String, Field>;

/// Fields by message and name.
static MESSAGES: LazyLock<HashMap<String, Fields>> = LazyLock::new(|| {
    // Compiled in: what can't be decoded is a fault of the build, and no path is known then.
    let set = FileDescriptorSet::decode(DESCRIPTOR).unwrap_or_default();
    let mut messages = HashMap::new();
    for file in &set.file {
        for message in &file.message_type {
            collect(&mut messages, &format!(".{}", file.package()), message);
        }
    }
    messages
});

fn collect(messages: &mut HashMap<String, Fields>, outer: &str, message: &DescriptorProto) {
    let full = format!("{outer}.{}", message.name());
    let fields = message.field.iter().map(|field| {
        let holds = field.r#type() == Type::Message && field.label() != Label::Repeated;
        let number = u64::try_from(field.number()).unwrap_or(0);
        (field.name().to_owned(), Field { number, message: holds.then(|| field.type_name().to_owned()) })
    });
    messages.insert(full.clone(), fields.collect());
    message.nested_type.iter().for_each(|nested| collect(messages, &full, nested));
}

/// Which fields are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Fields(BTreeMap<u64, Part>),
}

/// Fields of one kind of message.
#[derive(Clone, Debug)]
pub(crate) struct Mask {
    part: Part,
    /// Each path as it was given, with the numbers along it.
    paths: Vec<(String, Vec<u64>)>,
}

impl Mask {
    /// The mask of the request's field `field` over messages called `message`; `None` = it names nothing, so that everything
    /// is meant.
    pub(crate) fn new(
        field: &str,
        message: &str,
        mask: Option<prost_types::FieldMask>,
    ) -> Result<Option<Self>, ControlError> {
        let Some(mask) = mask.filter(|mask| !mask.paths.is_empty()) else { return Ok(None) };
        if mask.paths.len() > MAX_PATHS {
            let text = format!("{field} has {} paths; it may have {MAX_PATHS}", mask.paths.len());
            return Err(ControlError::invalid(field, text));
        }
        let mut all = Self { part: Part::Fields(BTreeMap::new()), paths: Vec::new() };
        for path in mask.paths {
            let numbers = numbers(field, message, &path)?;
            add(&mut all.part, &numbers);
            all.paths.push((path, numbers));
        }
        Ok(Some(all))
    }

    /// Whether it means the field of that name at the top, or something in it.
    pub(crate) fn names(&self, field: &str) -> bool {
        self.paths.iter().any(|(path, _)| path.split('.').next() == Some(field))
    }

    /// The message with nothing but the fields of the mask, where there is one.
    pub(crate) fn applied<M: Message + Default>(mask: Option<&Self>, message: M) -> M {
        match mask {
            Some(mask) => mask.apply(&message),
            None => message,
        }
    }

    /// The message with nothing but these fields.
    pub(crate) fn apply<M: Message + Default>(&self, message: &M) -> M {
        // What this program encoded it can decode.
        M::decode(&*filtered(&message.encode_to_vec(), &self.part)).unwrap_or_default()
    }

    /// Those of its paths that the message has nothing for.
    pub(crate) fn absent(&self, message: &impl Message) -> Vec<String> {
        let raw = message.encode_to_vec();
        let missing = self.paths.iter().filter(|(_, numbers)| !has(&raw, numbers));
        missing.map(|(path, _)| path.clone()).collect()
    }
}

/// The numbers along a path.
fn numbers(field: &str, message: &str, path: &str) -> Result<Vec<u64>, ControlError> {
    let wrong = |text: String| ControlError::invalid(field, text);
    let shown: String = path.chars().take(MAX_SHOWN).collect();
    let mut numbers = Vec::new();
    let mut within = Some(format!(".ddprocmgr.v1.{message}"));
    for name in path.split('.') {
        let Some(fields) = within.as_ref().and_then(|within| MESSAGES.get(within)) else {
            let error = wrong(format!("{field}: {shown:?} goes into a field that has none"));
            return Err(error.with_hint("name a list, a map or a plain value as a whole"));
        };
        let Some(found) = fields.get(name) else {
            let name: String = name.chars().take(MAX_SHOWN).collect();
            let near = fields.keys().map(|known| (distance(&name, known), known)).min();
            let error = wrong(format!("{field}: {shown:?} is no field"));
            return Err(match near.filter(|(far, known)| *far <= 1 + known.len() / 4) {
                Some((_, known)) => error.with_hint(format!("did you mean {known}?")),
                None => error.with_hint("fields are named as in the proto file, for example run.pid"),
            });
        };
        numbers.push(found.number);
        within.clone_from(&found.message);
    }
    Ok(numbers)
}

fn add(part: &mut Part, numbers: &[u64]) {
    let Part::Fields(fields) = part else { return };
    match numbers {
        [] => *part = Part::Whole,
        [number, rest @ ..] => {
            add(fields.entry(*number).or_insert_with(|| Part::Fields(BTreeMap::new())), rest);
        }
    }
}

/// A field as it is encoded.
struct Encoded<'a> {
    number: u64,
    /// All of it.
    whole: &'a [u8],
    /// What it holds, where that has a length.
    content: Option<&'a [u8]>,
}

/// The next field, which is taken off; `None` = there is none, or none that can be understood.
fn next<'a>(raw: &mut &'a [u8]) -> Option<Encoded<'a>> {
    let begin = *raw;
    let key = varint(raw)?;
    let mut content = None;
    let size = match key & 7 {
        0 => {
            varint(raw)?;
            0
        }
        1 => 8,
        2 => {
            let size = usize::try_from(varint(raw)?).ok()?;
            content = Some(raw.get(..size)?);
            size
        }
        5 => 4,
        // Groups, which proto3 doesn't have.
        _ => return None,
    };
    *raw = raw.get(size..)?;
    Some(Encoded { number: key >> 3, whole: &begin[..begin.len() - raw.len()], content })
}

fn varint(raw: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = raw.split_first()?;
        *raw = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn filtered(mut raw: &[u8], part: &Part) -> Vec<u8> {
    let Part::Fields(fields) = part else { return raw.to_vec() };
    let mut kept = Vec::new();
    while let Some(field) = next(&mut raw) {
        match (fields.get(&field.number), field.content) {
            (None, _) => {}
            (Some(Part::Whole), _) | (Some(_), None) => kept.extend_from_slice(field.whole),
            (Some(part), Some(content)) => {
                let inner = filtered(content, part);
                prost::encoding::encode_varint(field.number << 3 | 2, &mut kept);
                prost::encoding::encode_varint(inner.len() as u64, &mut kept);
                kept.extend_from_slice(&inner);
            }
        }
    }
    kept
}

fn has(mut raw: &[u8], numbers: &[u64]) -> bool {
    let [number, rest @ ..] = numbers else { return true };
    while let Some(field) = next(&mut raw) {
        if field.number == *number && (rest.is_empty() || field.content.is_some_and(|raw| has(raw, rest))) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1;

    fn mask(message: &str, paths: &[&str]) -> Result<Option<Mask>, ControlError> {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        Mask::new("read_mask", message, Some(prost_types::FieldMask { paths }))
    }

    fn process() -> v1::Process {
        v1::Process {
            name: "web".into(),
            state: 3,
            run: Some(v1::Run { number: 7, pid: Some(4242), ..Default::default() }),
            groups: vec!["a".into(), "b".into()],
            wanted_up: true,
            ..Default::default()
        }
    }

    #[test]
    fn only_what_is_named_stays() {
        let kept = mask("Process", &["name", "run.pid", "groups"]).unwrap().unwrap().apply(&process());
        let wanted = v1::Process {
            name: "web".into(),
            run: Some(v1::Run { pid: Some(4242), ..Default::default() }),
            groups: vec!["a".into(), "b".into()],
            ..Default::default()
        };
        assert_eq!(kept, wanted);
        // The whole wins over a part of it, in either order.
        for paths in [["run", "run.pid"], ["run.pid", "run"]] {
            let kept = mask("Process", &paths).unwrap().unwrap().apply(&process());
            assert_eq!(kept.run, process().run);
        }
    }

    #[test]
    fn a_mask_that_names_nothing_is_none() {
        assert!(mask("Process", &[]).unwrap().is_none());
        assert!(Mask::new("read_mask", "Process", None).unwrap().is_none());
    }

    #[test]
    fn what_is_no_field_is_refused_with_the_one_that_was_meant() {
        for (path, hint) in [
            ("nmae", "did you mean name?"),
            ("run.pdi", "did you mean pid?"),
            ("", "for example run.pid"),
            ("*", "for example run.pid"),
            ("name.x", "as a whole"),
            ("exits.run", "as a whole"),
            ("run..pid", "for example run.pid"),
            ("definition.env.values.PATH", "as a whole"),
        ] {
            let error = mask("Process", &[path]).unwrap_err();
            assert!(error.hint.as_ref().unwrap().contains(hint), "{path}: {error:?}");
        }
        let long = "x".repeat(1_000_000);
        assert!(mask("Process", &[&long]).unwrap_err().message.len() < 200);
        assert!(mask("Process", &vec!["name"; MAX_PATHS + 1]).is_err());
    }

    #[test]
    fn what_is_not_there_is_told() {
        let definition = v1::ProcessDefinition {
            umask: Some(0),
            log: Some(v1::LogDefinition { max_files: Some(3), ..Default::default() }),
            ..Default::default()
        };
        let paths = ["umask", "restart", "log.max_files", "log.max_size", "stdout.path", "log"];
        let mask = mask("ProcessDefinition", &paths).unwrap().unwrap();
        assert_eq!(mask.absent(&definition), ["restart", "log.max_size", "stdout.path"]);
        assert!(mask.names("log") && !mask.names("max_files"));
    }

    #[test]
    fn broken_bytes_end_it() {
        for raw in [&[0xff; 20][..], &[0x0b], &[0x0a, 5, 1], &[0x09, 1]] {
            assert_eq!(filtered(raw, &Part::Fields(BTreeMap::from([(1, Part::Whole)]))), []);
        }
    }
}

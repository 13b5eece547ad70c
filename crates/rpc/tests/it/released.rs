//! The proto files of released versions, in `released/`: everything in them is still there and means the same. What `buf
//! breaking` checks, without it.
//!
//! A release puts a copy of the proto file into `released/VERSION`; nothing in there is ever edited.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use prost::Message as _;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};

/// What clients rely on: each thing by a name that says where it is, with what must not change.
fn promises(file: &FileDescriptorProto) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for service in &file.service {
        for method in &service.method {
            let (i, o) = (method.input_type(), method.output_type());
            let streams = (method.client_streaming(), method.server_streaming());
            all.insert(format!("rpc {}/{}", service.name(), method.name()), format!("{i} {o} {streams:?}"));
        }
    }
    file.message_type.iter().for_each(|one| message(&mut all, file.package(), one));
    file.enum_type.iter().for_each(|one| enumeration(&mut all, file.package(), one));
    all
}

fn message(all: &mut BTreeMap<String, String>, outer: &str, one: &DescriptorProto) {
    let full = format!("{outer}.{}", one.name());
    all.insert(format!("message {full}"), String::new());
    for field in &one.field {
        // Whether it can be absent, and whether it is alone, is part of what a client was generated from.
        let oneof = field.oneof_index.and_then(|at| one.oneof_decl.get(usize::try_from(at).ok()?));
        let oneof = oneof.map(|oneof| oneof.name().to_owned());
        let kind = (field.name(), field.r#type(), field.type_name(), field.label(), field.proto3_optional());
        all.insert(format!("field {full} {}", field.number()), format!("{kind:?} {oneof:?}"));
    }
    one.nested_type.iter().for_each(|nested| message(all, &full, nested));
    one.enum_type.iter().for_each(|nested| enumeration(all, &full, nested));
}

fn enumeration(all: &mut BTreeMap<String, String>, outer: &str, one: &EnumDescriptorProto) {
    for value in &one.value {
        all.insert(format!("value {outer}.{} {}", one.name(), value.number()), value.name().to_owned());
    }
}

/// What was promised and is not so any more.
fn broken(then: &FileDescriptorProto, now: &FileDescriptorProto) -> BTreeSet<String> {
    let now = promises(now);
    let then = promises(then).into_iter();
    then.filter(|(what, how)| now.get(what) != Some(how)).map(|(what, _)| what).collect()
}

fn api(set: FileDescriptorSet) -> FileDescriptorProto {
    set.file.into_iter().find(|file| file.package() == "ddprocmgr.v1").unwrap()
}

fn compiled(root: &Path) -> FileDescriptorProto {
    api(protox::compile(["ddprocmgr/v1/process_manager.proto"], [root]).unwrap())
}

fn released() -> Vec<(String, FileDescriptorProto)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("released");
    let versions = std::fs::read_dir(root).unwrap().map(Result::unwrap);
    versions.map(|dir| (dir.file_name().into_string().unwrap(), compiled(&dir.path()))).collect()
}

#[test]
fn nothing_that_was_released_has_changed() {
    let now = api(FileDescriptorSet::decode(rpc::DESCRIPTOR).unwrap());
    let released = released();
    assert!(released.iter().any(|(version, _)| version == "0.1.0"), "{released:?}");
    for (version, then) in released {
        assert_eq!(broken(&then, &now), BTreeSet::new(), "clients of {version} would break");
    }
}

#[test]
fn what_breaks_clients_is_found() {
    type Edit = fn(&mut FileDescriptorProto);
    let then = released().remove(0).1;
    let change = |change: Edit| {
        let mut now = then.clone();
        change(&mut now);
        broken(&then, &now).into_iter().next().unwrap_or_default()
    };
    fn message<'a>(file: &'a mut FileDescriptorProto, name: &str) -> &'a mut DescriptorProto {
        file.message_type.iter_mut().find(|message| message.name() == name).unwrap()
    }
    assert_eq!(change(|_| ()), "");
    let new = |file: &mut FileDescriptorProto| {
        let mut field = message(file, "Run").field[0].clone();
        (field.name, field.number) = (Some("more".into()), Some(99));
        message(file, "Run").field.push(field);
    };
    assert_eq!(change(new), "", "something new breaks nobody");
    let cases: [(Edit, &str); 6] = [
        (|file| drop(message(file, "Run").field.remove(0)), "field ddprocmgr.v1.Run 1"),
        (|file| message(file, "Run").field[0].name = Some("x".into()), "field ddprocmgr.v1.Run 1"),
        (|file| message(file, "Run").field[2].proto3_optional = None, "field ddprocmgr.v1.Run 3"),
        (|file| message(file, "Run").field[0].number = Some(99), "field ddprocmgr.v1.Run 1"),
        (
            |file| file.service[0].method[0].server_streaming = Some(true),
            "rpc ProcessManagerService/ListProcesses",
        ),
        (|file| drop(file.enum_type[0].value.remove(1)), "value ddprocmgr.v1.ProcessView 1"),
    ];
    for (case, what) in cases {
        assert_eq!(change(case), what);
    }
}

//! The file that says who may read metrics: any bytes are taken or refused with a reason, and a refused one opens nothing.
#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;

fn file() -> &'static (tempfile::TempDir, PathBuf) {
    static FILE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    FILE.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("web.yaml");
        (dir, path)
    })
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (_, path) = file();
    std::fs::write(path, input).expect("a file");
    let web = metrics::Web::new(path);
    match web.reload() {
        Ok(()) => assert_eq!(web.problem(), None),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert_eq!(web.problem(), Some(error), "what is wrong is shown");
        }
    }
    drop(web.warnings());
});

//! Definitions: any bytes as the main file are read to the end, and what is complained about can be shown.
#![no_main]

use std::path::Path;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let path = Path::new("processes.yaml");
    let problems = match config::check_text(path, input.to_owned(), Path::new("/var/log/pm")) {
        Ok(loaded) => {
            // A name is good or broken, never both.
            for broken in &loaded.desired.invalid {
                let good = loaded.desired.specs.iter().any(|spec| spec.name == broken.spec.name);
                assert!(!good, "{} is both", broken.spec.name);
            }
            loaded.problems
        }
        Err(config::LoadError::Invalid { problems }) => problems,
        Err(error) => panic!("no file was read: {error}"),
    };
    for problem in problems {
        let harmless = !problem.to_string().contains(['\u{1b}', '\0', '\u{202e}']);
        assert!(harmless, "a terminal would obey {problem:?}");
    }
    // Files of other programs come the same way.
    drop(config::parse_foreign(path, input.to_owned()));
});

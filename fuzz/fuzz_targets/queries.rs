//! What strangers write into a request: positions in a log, and the query of the status page.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| {
    if let Ok(cursor) = input.parse::<logpipe::Cursor>() {
        assert_eq!(cursor.to_string().parse(), Ok(cursor), "a position is written as it is read");
    }
    metrics::properties::query(input);
});

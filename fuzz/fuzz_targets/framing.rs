//! Bytes into lines: any chunking gives the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: (u8, Vec<Vec<u8>>)| {
    let (max_line, chunks) = input;
    logpipe::properties::framing(&chunks, max_line.into());
});

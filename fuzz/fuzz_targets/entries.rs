//! Entries for journald: what goes in comes back.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: Vec<(u8, Vec<(String, Vec<u8>)>, Vec<u8>, bool)>| {
    logpipe::properties::entries(&input);
});

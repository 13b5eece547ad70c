//! Lines in files: each format can be read back, and so can what a line says about itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((cut, text)) = input.split_first() else { return };
    logpipe::properties::formats(text, cut % 2 == 1);
});

//! What processes say of themselves: any datagram is taken.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    supervisor::properties::notice(input);
});

//! Giving back pages of the program. Alone in its process: other tests would use memory meanwhile.

use std::fs;

/// Resident memory in KiB.
fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/smaps_rollup").expect("a readable /proc");
    let kib = text.lines().find_map(|l| l.strip_prefix("Rss:")).expect("Rss:");
    kib.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Code, constants and relocated tables are what they were, also while another thread uses them; and there is less of them
/// in memory.
#[test]
fn the_program_is_given_back_and_goes_on_as_before() {
    sys::memory::keep_small();
    let vtable: Box<dyn Fn(&str) -> String> = Box::new(str::to_uppercase);
    let before = resident();
    sys::memory::let_go().expect("a readable /proc");
    let after = resident();
    assert!(after < before, "{before} KiB before, {after} KiB after");
    std::thread::scope(|scope| {
        let other = scope.spawn(|| (0..1000).map(|n| n.to_string().len()).sum::<usize>());
        for _ in 0..20 {
            sys::memory::let_go().expect("a readable /proc");
            assert_eq!(vtable("text"), "TEXT");
        }
        assert_eq!(other.join().expect("no panic"), 2890);
    });
}

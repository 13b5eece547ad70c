//! The clocks: the wall clock is for display, the monotonic one says how long something took.

use model::{Mono, Stamp, Wall};

/// Now.
pub(crate) fn wall() -> Wall {
    Wall(sys::clock::now().1)
}

/// Both, now.
pub(crate) fn now() -> Stamp {
    let (mono, wall) = sys::clock::now();
    Stamp { mono: Mono(mono), wall: Wall(wall) }
}

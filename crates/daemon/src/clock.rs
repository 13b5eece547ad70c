//! The wall clock, for display.

use model::Wall;

/// Now.
pub(crate) fn wall() -> Wall {
    Wall(sys::clock::now().1)
}

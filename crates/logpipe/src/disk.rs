//! What a store asks of the file system; replaced in tests by one that fails, writes short and fills up.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::archive;
use crate::compress::Compressor;
use crate::store::Limits;

/// The operations that can fail at any time in the life of a log file. As they are here, they are the real ones.
pub(crate) trait Disk {
    /// Like write(2), of text.
    fn write(&mut self, mut file: &File, bytes: &[u8]) -> io::Result<usize> {
        file.write(bytes)
    }

    /// Like write(2), of what belongs into an index.
    fn write_index(&mut self, mut file: &File, bytes: &[u8]) -> io::Result<usize> {
        file.write(bytes)
    }

    /// Gives the file its archive name.
    fn rotate(&mut self, path: &Path, base: &Path) -> io::Result<()> {
        archive::rotate(path, base)
    }

    /// Deletes archives beyond the limits.
    fn prune(&mut self, path: &Path, base: &Path, limits: &Limits) -> io::Result<()> {
        archive::prune(path, base, limits)
    }

    /// Deletes the oldest archive and tells its name.
    fn free_oldest(&mut self, path: &Path, base: &Path) -> io::Result<Option<OsString>> {
        archive::free_oldest(path, base)
    }

    /// Has the archives compressed, soon and elsewhere.
    fn compress(&mut self, path: &Path, base: &Path);
}

/// The real one.
pub(crate) struct Real(pub(crate) Compressor);

impl Disk for Real {
    fn compress(&mut self, path: &Path, base: &Path) {
        self.0.request(path, base);
    }
}

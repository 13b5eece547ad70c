//! The files of a run's cgroup, read once more at each scrape: kept open on machines with many processes.
//!
//! The path to a leaf is long, and the kernel makes a file of a cgroup when it is opened: pressure of 1,000 leaves takes 11
//! to 17 ms with opening and closing, 6 without. The price is [`Leaf::DESCRIPTORS`] descriptors for each run, and 4 KiB of
//! the kernel's memory for each of the files. Bounds: as with what is [kept](super::kept) of /proc.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::{ProcError, Reader};

/// A file of a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeafFile {
    /// Memory charged to it.
    Memory,
    /// What it may take.
    MemoryMax,
    /// Time in which some of its threads waited for a processor,
    CpuPressure,
    /// for memory,
    MemoryPressure,
    /// for storage.
    IoPressure,
}

impl LeafFile {
    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory.current",
            Self::MemoryMax => "memory.max",
            Self::CpuPressure => "cpu.pressure",
            Self::MemoryPressure => "memory.pressure",
            Self::IoPressure => "io.pressure",
        }
    }
}

/// Those files of one leaf that were read. Each is there or not, depending on the kernel and its controllers; one that comes
/// later, with its controller, is found at the next scrape.
#[derive(Debug, Default)]
pub(crate) struct Leaf([Option<OwnedFd>; Leaf::DESCRIPTORS]);

impl Leaf {
    /// Descriptors that it holds at most.
    pub(crate) const DESCRIPTORS: usize = 5;
}

impl Reader<'_> {
    /// A file of the leaf in `dir`, which stays open in `leaf`; `None` when there is none.
    pub(crate) fn of_leaf<T>(
        &mut self,
        leaf: &mut Leaf,
        dir: &str,
        which: LeafFile,
        parse: fn(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, ProcError> {
        self.path.clear();
        [dir, "/", which.name()].into_iter().for_each(|part| self.path.push_str(part));
        let place = &mut leaf.0[which as usize];
        let opened = match place {
            Some(file) => Ok(file),
            None => openat(CWD, &*self.path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .map(|file| place.insert(file))
                .map_err(|error| self.unreadable(error.into())),
        };
        match opened.and_then(|file| self.read_of(file, parse)) {
            Err(error) if error.is_gone() => Ok(None),
            read => read.map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::proc::{ProcFs, parse};

    #[test]
    fn what_is_kept_is_read_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (path, file) = (dir.path().to_str().unwrap(), dir.path().join("memory.current"));
        let proc = ProcFs::detect();
        let (mut reader, mut leaf) = (Reader::new(&proc), Leaf::default());
        let mut memory = || reader.of_leaf(&mut leaf, path, LeafFile::Memory, parse::number_or_max).unwrap();
        assert_eq!(memory(), None, "no controller");
        fs::write(&file, "4096\n").unwrap();
        assert_eq!(memory(), Some(Some(4096)), "it came later");
        fs::write(&file, "8192\n").unwrap();
        assert_eq!(memory(), Some(Some(8192)));
        assert_eq!(leaf.0.iter().flatten().count(), 1);
    }

    #[test]
    fn errors_name_the_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("memory.max"), "much\n").unwrap();
        let proc = ProcFs::detect();
        let (mut reader, path) = (Reader::new(&proc), dir.path().to_str().unwrap());
        let read = reader.of_leaf(&mut Leaf::default(), path, LeafFile::MemoryMax, parse::number_or_max);
        assert!(read.unwrap_err().to_string().starts_with(&format!("{path}/memory.max does not look")));
    }
}

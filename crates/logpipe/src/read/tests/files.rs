//! The files of a process, written step by step without a pipeline: with their indexes, rotated, compressed and deleted
//! whenever a test says so.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use model::{Output, OutputSpec, RunNumber, Stream, Wall};
use tempfile::TempDir;

use crate::archive;
use crate::index::{self, Record};
use crate::place::FileId;
use crate::read::segment::compressed_name;
use crate::read::{Batch, Cursor, Filter, Outcome, ReadRequest, Work};
use crate::tail::{Tail, Tails};
use crate::testing::{output, web};

/// When the first line is written.
pub(super) const START: Wall = Wall(1_795_199_850_000_000_000);
/// Between two lines that are written.
pub(super) const STEP: u64 = 1_000_000_000;

/// One log file and its archives.
pub(super) struct Files {
    pub(super) dir: TempDir,
    path: PathBuf,
    tails: Tails,
    tail: Arc<Tail>,
    open: Option<File>,
    index: Option<File>,
    last: Option<Record>,
    /// Whether files that are made from now on get an index.
    pub(super) indexed: bool,
    pub(super) now: Wall,
}

impl Files {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web.log");
        let tails = Tails::default();
        let tail = tails.of(&web().name, &path);
        Self { path, dir, tails, tail, open: None, index: None, last: None, indexed: true, now: START }
    }

    /// As a restart of the daemon: nothing is known but the files.
    pub(super) fn restart(&mut self) {
        self.tails = Tails::default();
        self.tail = self.tails.of(&web().name, &self.path);
        self.open = None;
    }

    fn index_of(&self, log: &Path) -> PathBuf {
        self.dir.path().join(index::name_of(log.file_name().unwrap()))
    }

    /// Writes one line.
    pub(super) fn line(&mut self, run: u64, stream: Stream, line: &str) {
        if self.open.is_none() {
            let file = File::options().append(true).create(true).open(&self.path).unwrap();
            let id = FileId::of(&file.metadata().unwrap());
            let beside = self.index_of(&self.path);
            if fs::read(&beside).ok().and_then(|bytes| index::owner(&bytes)) != Some(id) {
                fs::remove_file(&beside).unwrap_or_default();
                if self.indexed {
                    fs::write(&beside, index::header(id)).unwrap();
                }
            }
            self.index = File::options().append(true).open(&beside).ok();
            self.last = None;
            self.tail.moved(id);
            self.open = Some(file);
        }
        let mut file = self.open.as_ref().unwrap();
        self.now = Wall(self.now.0 + STEP);
        let record =
            Record { offset: file.metadata().unwrap().len(), at: self.now, run: RunNumber(run), stream };
        if let Some(index) = &mut self.index
            && !self.last.is_some_and(|last| last.covers(record.at, record.run, stream))
        {
            index.write_all(&record.encode()).unwrap();
            self.last = Some(record);
        }
        writeln!(file, "{line}").unwrap();
        self.tail.grew();
    }

    pub(super) fn archives(&self) -> Vec<PathBuf> {
        archive::list(&self.path).unwrap()
    }

    pub(super) fn rotate(&mut self) {
        if self.path.exists() {
            archive::rotate(&self.path, self.dir.path()).unwrap();
            let newest = self.archives().pop().unwrap();
            fs::rename(self.index_of(&self.path), self.index_of(&newest)).unwrap_or_default();
            self.open = None;
        }
    }

    /// Compresses an archive, when it is not yet.
    pub(super) fn compress(&self, archive: &Path) {
        if archive.extension().is_some_and(|extension| extension == "gz") {
            return;
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&fs::read(archive).unwrap()).unwrap();
        let (done, hidden) = (compressed_name(archive), self.dir.path().join(".new"));
        fs::write(&hidden, encoder.finish().unwrap()).unwrap();
        let modified = fs::metadata(archive).unwrap().modified().unwrap();
        File::options().write(true).open(&hidden).unwrap().set_modified(modified).unwrap();
        fs::rename(hidden, done).unwrap();
        fs::remove_file(archive).unwrap();
    }

    /// Deletes the oldest archive; `false` = there is none.
    pub(super) fn prune(&self) -> bool {
        let archives = self.archives();
        let Some(oldest) = archives.first() else { return false };
        fs::remove_file(oldest).unwrap();
        let index = self.index_of(&crate::read::segment::plain_name(oldest));
        fs::remove_file(index).unwrap_or_default();
        true
    }

    pub(super) fn read(&self, request: ReadRequest) -> Reading {
        Reading(Work::new(self.dir.path(), &self.tails, request).unwrap())
    }

    /// What a request that says nothing more reads: everything.
    pub(super) fn request(&self) -> ReadRequest {
        let output = OutputSpec { stdout: Output::File(self.path.clone()), ..output() };
        ReadRequest {
            process: web(),
            output: OutputSpec { stderr: output.stdout.clone(), ..output },
            lines: usize::MAX,
            follow: false,
            filter: Filter::default(),
            after: None,
            single: false,
        }
    }

    /// What there is to read.
    pub(super) fn all(&self, request: ReadRequest) -> Past {
        self.read(request).past()
    }
}

/// A reader that is moved by hand.
pub(super) struct Reading(Work);

impl Reading {
    /// The next batch; `None` = nothing for now.
    pub(super) fn next(&mut self) -> Option<Batch> {
        loop {
            match self.0.step().unwrap() {
                Outcome::Batch(batch) => return Some(batch),
                Outcome::Busy => {}
                Outcome::Idle => return None,
            }
        }
    }

    pub(super) fn past(&mut self) -> Past {
        let mut past = Past::default();
        while let Some(batch) = self.next() {
            past.missed |= batch.missed;
            past.left_out |= batch.left_out;
            past.position = Some(batch.position.to_string().parse().unwrap());
            for chunk in &batch.chunks {
                past.text.push_str(std::str::from_utf8(&chunk.bytes).unwrap());
                past.facts.push((chunk.stream, chunk.run.map(|run| run.0), chunk.at));
            }
        }
        past
    }
}

/// What a reader got.
#[derive(Default)]
pub(super) struct Past {
    pub(super) text: String,
    pub(super) facts: Vec<(Option<Stream>, Option<u64>, Option<Wall>)>,
    pub(super) missed: bool,
    pub(super) left_out: bool,
    pub(super) position: Option<Cursor>,
}

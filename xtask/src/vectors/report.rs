//! What the vector runner tells: one document for machines, lines for people.

use std::io::Write;

use serde::Serialize;
use serde_json::{Map, Value};

/// The whole answer, in the schema `tallystick.vectors/1`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    schema: &'static str,
    ok: bool,
    totals: Totals,
    files: Vec<FileReport>,
    #[serde(skip)]
    required_open: bool,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Totals {
    files: usize,
    vectors: usize,
    right: usize,
    wrong: usize,
    unsupported: usize,
}

/// The answer for one file.
#[derive(Debug, Serialize)]
pub(super) struct FileReport {
    file: String,
    supported: bool,
    right: usize,
    wrong: usize,
    unsupported: usize,
    error: Option<String>,
    vectors: Vec<VectorReport>,
}

/// The answer for one vector.
#[derive(Debug, Serialize)]
pub(super) struct VectorReport {
    pub(super) id: String,
    pub(super) operation: String,
    /// None where the file does not say what is expected.
    pub(super) outcome: Option<Outcome>,
    /// None when the vector is not supported, or deciding it panicked.
    pub(super) decided: Option<Decided>,
    /// The members of `expected` that differ.
    pub(super) differs: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Right,
    Wrong,
    Unsupported,
}

/// What was decided from operation and input alone.
#[derive(Debug, Serialize)]
pub(super) struct Decided {
    pub(super) verdict: &'static str,
    /// Empty when valid; our reason code otherwise.
    pub(super) reason: String,
    pub(super) values: Map<String, Value>,
}

impl FileReport {
    /// How many are right, and how many are not; a file that cannot be read is one that is not.
    pub(super) fn counts(&self) -> (u64, u64) {
        let others = self.wrong + self.unsupported + usize::from(self.error.is_some());
        (self.right as u64, others as u64)
    }

    /// The reasons of the vectors that are refused, as they should be.
    pub(super) fn reasons(self) -> impl Iterator<Item = String> {
        let right = self.vectors.into_iter().filter(|one| one.outcome == Some(Outcome::Right));
        let reasons = right.filter_map(|one| one.decided).map(|decided| decided.reason);
        reasons.filter(|reason| !reason.is_empty())
    }

    pub(super) fn new(file: String, supported: bool, vectors: Vec<VectorReport>) -> FileReport {
        let count =
            |outcome| vectors.iter().filter(|vector| vector.outcome == Some(outcome)).count();
        FileReport {
            file,
            supported,
            right: count(Outcome::Right),
            wrong: count(Outcome::Wrong),
            unsupported: count(Outcome::Unsupported),
            error: None,
            vectors,
        }
    }

    pub(super) fn unreadable(file: String, error: String) -> FileReport {
        let mut report = FileReport::new(file, false, Vec::new());
        report.error = Some(error);
        report
    }

    /// Whether some vector was not decided at all.
    fn is_open(&self) -> bool {
        !self.supported || self.vectors.iter().any(|vector| vector.decided.is_none())
    }
}

impl Report {
    /// Sums up; `required` tells for a file name whether its kind was demanded.
    pub(super) fn new(files: Vec<FileReport>, required: impl Fn(&str) -> bool) -> Report {
        let sum = |part: fn(&FileReport) -> usize| files.iter().map(part).sum();
        let totals = Totals {
            files: files.len(),
            vectors: sum(|file| file.vectors.len()),
            right: sum(|file| file.right),
            wrong: sum(|file| file.wrong),
            unsupported: sum(|file| file.unsupported),
        };
        let required_open = files.iter().any(|file| required(&file.file) && file.is_open());
        let mut report =
            Report { schema: "tallystick.vectors/1", ok: false, totals, files, required_open };
        report.ok = report.exit_code() == 0;
        report
    }

    /// The same report, not ok unless `holds`.
    pub(super) fn and_also(mut self, holds: bool) -> Report {
        self.required_open |= !holds;
        self.ok = self.exit_code() == 0;
        self
    }

    pub(super) fn exit_code(&self) -> u8 {
        if self.files.iter().any(|file| file.error.is_some()) {
            2
        } else {
            u8::from(self.totals.wrong > 0 || self.required_open)
        }
    }

    pub(super) fn write_json(&self, mut out: impl Write) -> std::io::Result<()> {
        serde_json::to_writer(&mut out, self)?;
        writeln!(out)
    }

    pub(super) fn write_text(&self, mut out: impl Write) -> std::io::Result<()> {
        for file in &self.files {
            let FileReport { file: name, right, wrong, unsupported, .. } = file;
            writeln!(out, "{name}: {right} right, {wrong} wrong, {unsupported} unsupported")?;
            for vector in &file.vectors {
                if vector.outcome == Some(Outcome::Wrong) {
                    let reason = vector.decided.as_ref().map_or("panic", |made| &made.reason);
                    let differs = vector.differs.join(", ");
                    writeln!(out, "  wrong: {} [{differs}] {reason}", vector.id)?;
                }
            }
        }
        let Totals { files, vectors, right, wrong, unsupported } = self.totals;
        writeln!(
            out,
            "{files} files, {vectors} vectors: {right} right, {wrong} wrong, \
             {unsupported} unsupported"
        )
    }
}

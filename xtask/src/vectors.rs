//! `cargo xtask vectors DIR`: decides the test vectors of every file in a folder.
//!
//! Invariant: what decides a vector is given its operation and its input, never what is expected.

mod base45;
mod cose_cwt_codes;
mod decide;
mod hpke_region_envelope;
mod input;
mod report;
mod x509_code_chain;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use report::{FileReport, Report};

/// Decides the test vectors of every JSON file in a folder.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The folder.
    folder: PathBuf,
    /// What is written to standard output.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Kinds (file names without `.json`) that must be there and be decided completely.
    #[arg(long, value_delimiter = ',', value_name = "KIND,...")]
    require: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A line for each file and each vector that is not right.
    Text,
    /// One document of the schema `tallystick.vectors/1`.
    Json,
}

/// Decides the files of a folder for the gate: how many vectors are right, and how many are not. A
/// required kind that is missing fails, and so does a file in which nothing was decided.
pub fn check(folder: &Path, required: &[&str]) -> crate::gate::Tally {
    let files = match files_in(folder) {
        Ok(files) => files,
        Err(error) => {
            println!("{}: {error}", folder.display());
            return crate::gate::Tally::one(false);
        }
    };
    let mut tally = crate::gate::Tally::default();
    for kind in required.iter().filter(|kind| !files.iter().any(|file| kind_of(file) == **kind)) {
        println!("missing: {kind}");
        tally.failed += 1;
    }
    for file in &files {
        let report = judge_file(file);
        let (right, others) = report.counts();
        println!("{}: {right} right, {others} not", kind_of(file));
        let none = u64::from(right + others == 0);
        tally.add(crate::gate::Tally { passed: right, failed: others + none });
    }
    tally
}

/// The reason codes with which vectors of a folder are refused.
pub fn reasons(folder: &Path) -> std::collections::BTreeSet<String> {
    let files = files_in(folder).unwrap_or_default();
    files.iter().flat_map(|file| judge_file(file).reasons()).collect()
}

/// Runs the command. Exit code 0: all right; 1: one is wrong, or a required kind is not decided
/// completely; 2: the folder, a file or standard output cannot be read or written.
pub fn run(arguments: &Arguments) -> ExitCode {
    let files = match files_in(&arguments.folder) {
        Ok(files) => files,
        Err(error) => {
            eprintln!("{}: {error}", arguments.folder.display());
            return ExitCode::from(2);
        }
    };
    let report = Report::new(files.iter().map(|path| judge_file(path)).collect(), |file| {
        arguments.require.iter().any(|kind| *kind == kind_of(Path::new(file)))
    });
    let missing = missing(&arguments.require, &files);
    for kind in &missing {
        eprintln!("required kind without a file: {kind}");
    }
    let report = report.and_also(missing.is_empty());
    let written = match arguments.output {
        Output::Json => report.write_json(std::io::stdout().lock()),
        Output::Text => report.write_text(std::io::stdout().lock()),
    };
    if let Err(error) = written.and_then(|()| std::io::stdout().flush()) {
        eprintln!("standard output: {error}");
        return ExitCode::from(2);
    }
    ExitCode::from(report.exit_code())
}

/// The JSON files of a folder, by name.
fn files_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn judge_file(path: &Path) -> FileReport {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let read = std::fs::read_to_string(path).map_err(|error| error.to_string());
    let judged = read.and_then(|text| decide::judge(&kind_of(path), &text));
    match judged {
        Ok(vectors) => FileReport::new(name, decide::is_supported(&kind_of(path)), vectors),
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            FileReport::unreadable(name, error)
        }
    }
}

fn kind_of(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn missing(required: &[String], files: &[PathBuf]) -> Vec<String> {
    let there = |kind: &String| files.iter().any(|path| kind_of(path) == *kind);
    required.iter().filter(|kind| !there(kind)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors")
    }

    #[test]
    fn every_vector_of_this_repository_is_decided_right() {
        let files = files_in(&vectors()).unwrap();
        assert_eq!(files.len(), 4);
        let report = Report::new(files.iter().map(|path| judge_file(path)).collect(), |_| true);
        let mut text = Vec::new();
        report.write_text(&mut text).unwrap();
        assert_eq!(report.exit_code(), 0, "{}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn a_kind_that_is_missing_and_a_file_without_vectors_fail_the_gate() {
        let failed = |folder: &Path, required: &[&str]| check(folder, required).failed;
        assert_eq!(failed(&vectors(), &["base45"]), 0);
        assert_eq!(failed(&vectors(), &["base45", "card"]), 1);
        let name = format!("tallystick-empty-vectors-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        assert_eq!(failed(&folder, &[]), 1);
        std::fs::create_dir_all(&folder).unwrap();
        let text = std::fs::read_to_string(vectors().join("base45.json")).unwrap();
        let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
        document["vectors"] = serde_json::json!([]);
        std::fs::write(folder.join("base45.json"), document.to_string()).unwrap();
        assert_eq!(failed(&folder, &["base45"]), 1);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_vector_that_expects_something_else_is_wrong() {
        let text = std::fs::read_to_string(vectors().join("base45.json")).unwrap();
        let altered = text.replacen("\"4142\"", "\"4143\"", 1);
        assert_ne!(text, altered);
        let outcomes = |text: &str| {
            let vectors = decide::judge("base45", text).unwrap();
            FileReport::new("base45.json".into(), true, vectors)
        };
        let exit = |text: &str| Report::new(vec![outcomes(text)], |_| true).exit_code();
        assert_eq!(exit(&text), 0);
        assert_eq!(exit(&altered), 1);
        let invalid = text.replacen("\"verdict\": \"valid\"", "\"verdict\": \"invalid\"", 1);
        let invalid = invalid.replacen("\"verdict\":\"valid\"", "\"verdict\":\"invalid\"", 1);
        assert_ne!(text, invalid);
        assert_eq!(exit(&invalid), 1);
    }
}

//! How commands show their results: text for people or JSON for programs.

use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;
use serde::Serialize;

use crate::failure::Failure;

/// The form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document on standard output.
    Json,
}

/// Where results go: results to standard output, everything else to standard error.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// The chosen form.
    pub format: Format,
}

impl Output {
    /// Shows a result, as JSON or as the text that `text` makes of it.
    pub fn show<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) {
        let shown = match self.format {
            Format::Text => text(value),
            Format::Json => to_json(value),
        };
        // A reader that has gone away is no failure of ours.
        let _ = writeln!(std::io::stdout().lock(), "{}", shown.trim_end_matches('\n'));
    }

    /// Says something on the way, to people only.
    pub fn note(&self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// Whether standard output is a terminal that shows text for people.
    pub fn is_terminal(&self) -> bool {
        self.format == Format::Text && std::io::stdout().is_terminal()
    }

    /// Says what is going on, only to people at a terminal.
    pub fn progress(&self, text: &str) {
        if std::io::stderr().is_terminal() {
            self.note(text);
        }
    }

    /// Shows a failure on standard error.
    pub fn fail(&self, failure: &Failure) {
        let shown = match self.format {
            Format::Text => format!("tally: {failure}"),
            Format::Json => to_json(&failure.to_json()),
        };
        let _ = writeln!(std::io::stderr().lock(), "{shown}");
    }
}

fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}

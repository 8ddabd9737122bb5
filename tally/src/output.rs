//! How commands show their results: text for people or JSON for programs.
//!
//! Invariants: in JSON, every result is one line on standard output, and whatever is said on
//! standard error is one line of JSON too; progress and colour are for people at a terminal.

use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;
use clap::builder::styling::AnsiColor;
use serde::Serialize;

use crate::failure::Failure;

/// The form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one line of JSON for each result.
    Json,
}

/// Where results go: results to standard output, everything else to standard error.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// The chosen form.
    pub format: Format,
}

/// A warning as `--output json` shows it.
#[derive(Serialize)]
struct Warning<'a> {
    warning: &'a str,
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

    /// Says what must not be missed, also to whoever keeps standard error in a file.
    pub fn warn(&self, text: &str) {
        let said = match self.format {
            Format::Text => text.to_owned(),
            Format::Json => to_json(&Warning { warning: text }),
        };
        let _ = writeln!(std::io::stderr().lock(), "{said}");
    }

    /// Says what is going on, only to people at a terminal.
    pub fn progress(&self, text: &str) {
        if self.shows_progress() {
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }
    }

    /// Whether there are people at a terminal who want to know what is going on.
    pub fn shows_progress(&self) -> bool {
        self.format == Format::Text && std::io::stderr().is_terminal()
    }

    /// Whether standard output is a terminal that shows text for people.
    pub fn is_terminal(&self) -> bool {
        self.format == Format::Text && std::io::stdout().is_terminal()
    }

    /// The text in a colour, where a terminal shows it and nobody said `NO_COLOR`
    /// (<https://no-color.org>).
    pub fn coloured(&self, color: AnsiColor, text: &str) -> String {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if !self.is_terminal() || set("NO_COLOR") || is_dumb {
            return text.to_owned();
        }
        let style = color.on_default();
        format!("{style}{text}{style:#}")
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
    serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}

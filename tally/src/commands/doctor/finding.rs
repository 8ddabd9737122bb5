//! One thing that was looked at, how it is, and the way out where it is not well.

use serde::Serialize;
use tallystick_kernel::Reason;

use crate::failure::Failure;

/// How a thing is; the worst comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, and may not for long.
    Warning,
    /// It does not work.
    Failed,
}

/// What one check found.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it is.
    pub level: Level,
    /// What was found.
    pub says: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// The way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
    /// The reason behind `code`.
    #[serde(skip)]
    pub reason: Option<Reason>,
}

impl Finding {
    /// All is well.
    pub fn ok(check: &'static str, says: impl Into<String>) -> Finding {
        let says = says.into();
        Finding { check, level: Level::Ok, says, code: None, next_step: None, reason: None }
    }

    /// It works, but look at it.
    pub fn warning(
        check: &'static str,
        says: impl Into<String>,
        next_step: impl Into<String>,
    ) -> Finding {
        let next_step = Some(next_step.into());
        Finding { level: Level::Warning, next_step, ..Finding::ok(check, says) }
    }

    /// It does not work.
    pub fn failed(
        check: &'static str,
        reason: Reason,
        says: impl Into<String>,
        next_step: impl Into<String>,
    ) -> Finding {
        let (level, code) = (Level::Failed, Some(reason.code()));
        let next_step = Some(next_step.into());
        Finding { level, code, next_step, reason: Some(reason), ..Finding::ok(check, says) }
    }

    /// A failure of the code that was tried.
    pub fn failure(check: &'static str, failure: &Failure) -> Finding {
        let says = match failure.causes.is_empty() {
            true => failure.reason.sentence().to_owned(),
            false => failure.causes.join("; "),
        };
        Finding::failed(check, failure.reason, says, failure.way_out())
    }
}

//! How a command fails: a reason, what led to it, and what to do next.

use core::fmt;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use tallystick_api::{ApiError, Problem};
use tallystick_kernel::{Group, Reason};

/// The failure of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it comes down to.
    pub reason: Reason,
    /// What led to it, the nearest first.
    pub causes: Vec<String>,
    /// What to do about it.
    pub next_step: Option<String>,
    /// Finds the request in the log of the server that refused.
    pub request_id: Option<String>,
}

/// A failure as `--output json` shows it.
#[derive(Serialize)]
pub struct FailureJson<'a> {
    code: &'a str,
    message: &'a str,
    causes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl Failure {
    /// A failure for this reason.
    pub fn new(reason: Reason) -> Failure {
        Failure { reason, causes: Vec::new(), next_step: None, request_id: None }
    }

    /// A failure to read or write `path`.
    pub fn file(path: &Path, error: &std::io::Error) -> Failure {
        Failure::new(Reason::FileUnreadable).cause(format!("{}: {error}", path.display()))
    }

    /// The same with one more cause.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Failure {
        self.causes.push(cause.into());
        self
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn next_step(mut self, next_step: impl Into<String>) -> Failure {
        self.next_step = Some(next_step.into());
        self
    }

    /// 1 refused, 3 another party is away, 4 something around us (files, ports, disk). 2 is left
    /// to wrong usage.
    pub fn exit_code(&self) -> ExitCode {
        match (self.reason, self.reason.group()) {
            (Reason::Unreachable | Reason::Timeout | Reason::NotReady, _) => ExitCode::from(3),
            (_, Group::Environment) => ExitCode::from(4),
            _ => ExitCode::from(1),
        }
    }

    /// The form for `--output json`.
    pub fn to_json(&self) -> FailureJson<'_> {
        FailureJson {
            code: self.reason.code(),
            message: self.reason.sentence(),
            causes: &self.causes,
            next_step: self.next_step.as_deref(),
            request_id: self.request_id.as_deref(),
        }
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Failure {
        Failure::new(reason)
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Failure {
        let mut failure = Failure::new(error.reason);
        if let Some(problem) = error.problem {
            let Problem { detail, cause, field, way_out, request_id, .. } = *problem;
            failure.causes.extend(detail);
            failure.causes.extend(field.map(|field| format!("field {field}")));
            failure.causes.extend(cause);
            failure.next_step = way_out;
            failure.request_id = request_id;
        }
        failure.causes.extend(error.cause);
        failure.cause(format!("asked: {}", error.call))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.reason.sentence(), self.reason.code())?;
        for cause in &self.causes {
            write!(formatter, "\n  because: {cause}")?;
        }
        if let Some(request_id) = &self.request_id {
            write!(formatter, "\n  request: {request_id}")?;
        }
        if let Some(next_step) = &self.next_step {
            write!(formatter, "\n  next: {next_step}")?;
        }
        Ok(())
    }
}

impl core::error::Error for Failure {}

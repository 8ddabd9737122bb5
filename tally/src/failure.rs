//! How a command fails: a reason, what led to it, and what to do next.

use core::fmt;
use std::path::Path;

use serde::Serialize;
use tallystick_api::{ApiError, Problem};
use tallystick_kernel::{Group, Reason};

use crate::exit::Exit;
use crate::next_step;

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
    is_usage: bool,
}

/// A failure as `--output json` shows it.
#[derive(Serialize)]
pub struct FailureJson<'a> {
    code: &'a str,
    message: &'a str,
    causes: &'a [String],
    next_step: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl Failure {
    /// A failure for this reason.
    pub fn new(reason: Reason) -> Failure {
        Failure { reason, causes: Vec::new(), next_step: None, request_id: None, is_usage: false }
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

    /// The same, laid to what was typed: a value of the command line is at fault.
    #[must_use]
    pub fn usage(mut self) -> Failure {
        self.is_usage = true;
        self
    }

    /// How the process ends with it.
    pub fn exit(&self) -> Exit {
        match (self.reason, self.reason.group()) {
            (_, Group::CommandLine) => Exit::Usage,
            _ if self.is_usage => Exit::Usage,
            (Reason::Unreachable | Reason::Timeout | Reason::NotReady, _) => Exit::Away,
            (_, Group::Environment) => Exit::Machine,
            _ => Exit::Refused,
        }
    }

    /// What to do about it: what is known of this occurrence, else what helps with its reason.
    pub fn way_out(&self) -> &str {
        self.next_step.as_deref().unwrap_or(next_step::of(self.reason))
    }

    /// The form for `--output json`.
    pub fn to_json(&self) -> FailureJson<'_> {
        FailureJson {
            code: self.reason.code(),
            message: self.reason.sentence(),
            causes: &self.causes,
            next_step: self.way_out(),
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
            failure.next_step = way_out.filter(|way_out| !way_out.is_empty());
            failure.request_id = request_id.filter(|id| !id.is_empty());
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
        write!(formatter, "\n  next: {}", self.way_out())
    }
}

impl core::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(failure: &Failure) -> Vec<String> {
        failure.to_string().lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_failure_ends_with_a_next_step_and_has_no_empty_line() {
        for reason in Reason::ALL {
            let failure = Failure::new(*reason);
            let lines = lines(&failure);
            assert!(lines.last().unwrap().starts_with("  next: "), "{reason}");
            assert!(lines.iter().all(|line| !line.trim_end().ends_with(':')), "{reason}");
            let json = serde_json::to_value(failure.to_json()).unwrap();
            assert_eq!(json["code"], reason.code());
            assert!(!json["next_step"].as_str().unwrap().is_empty(), "{reason}");
        }
    }

    #[test]
    fn what_is_known_of_the_occurrence_goes_before_what_helps_in_general() {
        let failure = Failure::new(Reason::Timeout).next_step("wait");
        assert_eq!(failure.way_out(), "wait");
        assert_ne!(Failure::new(Reason::Timeout).way_out(), "wait");
    }

    #[test]
    fn an_empty_request_id_of_a_server_is_not_shown() {
        let problem = Problem { request_id: Some(String::new()), ..Problem::new(Reason::NotFound) };
        let problem = Problem { way_out: Some(String::new()), ..problem };
        let failure = Failure::from(ApiError {
            reason: Reason::NotFound,
            problem: Some(Box::new(problem)),
            cause: None,
            call: "GET /x".to_owned(),
        });
        assert_eq!(failure.request_id, None);
        assert!(!failure.to_string().contains("request:"), "{failure}");
        assert_eq!(failure.way_out(), next_step::of(Reason::NotFound));
    }

    #[test]
    fn the_exit_follows_from_what_the_failure_is_about() {
        for (failure, exit) in [
            (Failure::new(Reason::InsufficientFunds), Exit::Refused),
            (Failure::new(Reason::AmountMalformed), Exit::Refused),
            (Failure::new(Reason::AmountMalformed).usage(), Exit::Usage),
            (Failure::new(Reason::UsageWrong), Exit::Usage),
            (Failure::new(Reason::AlreadyOther), Exit::Usage),
            (Failure::new(Reason::Unreachable), Exit::Away),
            (Failure::new(Reason::AddressInUse), Exit::Machine),
        ] {
            assert_eq!(failure.exit(), exit, "{failure}");
        }
    }
}

//! Problem documents: how every refusal looks over HTTP (RFC 9457).

use serde::{Deserialize, Serialize};
use tallystick_kernel::Reason;
use utoipa::ToSchema;

use crate::status::status_of;

/// The media type of a problem document.
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// A refusal: RFC 9457 section 3.1 and our own members from `code` on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:tallystick:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The reason's sentence; the same for each occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// More about this occurrence, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The reason's stable name: what a program should look at.
    pub code: String,
    /// Finds the request in the log of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What led to the refusal, for people; never a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The path of the field at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way_out: Option<String>,
}

impl Problem {
    /// The problem document of a reason, with nothing about the occurrence yet.
    pub fn new(reason: Reason) -> Problem {
        Problem {
            kind: format!("urn:tallystick:problem:{}", reason.code()),
            title: reason.sentence().to_owned(),
            status: status_of(reason),
            detail: None,
            code: reason.code().to_owned(),
            request_id: None,
            cause: None,
            field: None,
            way_out: None,
        }
    }

    /// The same with a detail of this occurrence.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Problem {
        self.detail = Some(detail.into());
        self
    }

    /// The same with what led to it.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Problem {
        self.cause = Some(cause.into());
        self
    }

    /// The same with the field at fault.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Problem {
        self.field = Some(field.into());
        self
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn way_out(mut self, way_out: impl Into<String>) -> Problem {
        self.way_out = Some(way_out.into());
        self
    }

    /// The reason that `code` names; [`Reason::AnswerMalformed`] for a name that is not known
    /// here (a server of another version).
    pub fn reason(&self) -> Reason {
        Reason::from_code(&self.code).unwrap_or(Reason::AnswerMalformed)
    }
}

impl From<Reason> for Problem {
    fn from(reason: Reason) -> Problem {
        Problem::new(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn a_problem_document_names_its_reason_both_ways() {
        for reason in Reason::ALL {
            let problem = Problem::new(*reason).detail("d").field("f");
            let read: Problem = json::read(&json::write(&problem)).unwrap();
            assert_eq!(read, problem);
            assert_eq!(read.reason(), *reason);
        }
    }

    #[test]
    fn the_members_have_the_names_of_the_rfc() {
        let text = String::from_utf8(json::write(&Problem::new(Reason::ClaimTaken))).unwrap();
        let expected = "{\"type\":\"urn:tallystick:problem:claim_taken\",\"title\":\"Another \
            transaction in flight already claims the same thing.\",\"status\":409,\
            \"code\":\"claim_taken\"}";
        assert_eq!(text, expected);
    }
}

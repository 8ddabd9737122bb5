//! Why a call to another party failed.

use core::fmt;

use tallystick_kernel::Reason;

use crate::problem::Problem;

/// The failure of one call: either the other party refused (there is a problem document), or the
/// call itself failed ([`Reason::Unreachable`], [`Reason::Timeout`], [`Reason::AnswerMalformed`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// What it comes down to.
    pub reason: Reason,
    /// The other party's own words, if it gave any.
    pub problem: Option<Box<Problem>>,
    /// Method and address of the call, without query.
    pub call: String,
    /// What the transport says, for people.
    pub cause: Option<String>,
}

impl ApiError {
    /// Whether the other party was never asked or gave no usable answer, so that it is unknown
    /// what became of the request.
    pub fn is_transport(&self) -> bool {
        self.problem.is_none()
    }
}

impl From<ApiError> for Reason {
    fn from(error: ApiError) -> Reason {
        error.reason
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.call, self.reason.sentence())
    }
}

impl core::error::Error for ApiError {}

//! What a provisioner decides: who gets a credential onto which device.
//!
//! Pure: records and time come in, a changed record and an outcome go out. Invariants: a request
//! ends once, released or denied or closed; a denial is final; a wrong code counts as a guess
//! before anybody learns that it was wrong.

pub mod device_code;
pub mod request;
pub mod risk;

pub use device_code::{Completion, Guesses, Start, complete, release, start};
pub use request::{Request, RequestState};
pub use risk::{RiskPolicy, Signals};

//! What a merchant decides: whether a code is good, what an order is called on the ledger, and
//! whether a receipt pays it.
//!
//! Pure: records and time come in, changed records go out. Invariants: a charge is stored before
//! anybody is asked for it; it is paid only by a receipt that was verified here.

pub mod charge;
pub mod payment_code;

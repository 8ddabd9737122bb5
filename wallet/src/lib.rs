//! What a wallet decides: its account, its reserves, its device's key, the codes that it shows.
//!
//! Pure: the wallet's state and time come in, the changed state goes out. Invariant: a counter is
//! stored before the code that carries it is shown.

pub mod account;
pub mod device_code;
pub mod payment_code;
pub mod reserve_list;
pub mod state;

pub use state::{Provisioning, WalletState};

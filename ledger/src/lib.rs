//! The deterministic state machine: actions, admission, pre-block, execution, receipts, conservation.
//!
//! Every action declares from its bytes alone what it touches ([`claims`]): **claims** are used up
//! exclusively, **ordered cells** run in block order, **credits** commute. That one declaration
//! keeps conflicts out of the pool ([`mempool`]) and decides whether a block is valid
//! ([`validity`]). Blocks are ordered first and executed when they are final ([`mod@execute`]); the
//! rejected alternatives (account nonces, execution before the vote, UTXO) are argued in
//! `docs/adr/0002-order-then-execute.md`.
//!
//! Invariants: nothing here reads a clock, draws randomness or does I/O. The same blocks on the
//! same genesis give the same state, results and roots. In each currency the supply is the sum of
//! free balances and reserves, asserted after every block.

pub mod checkpoint;
pub mod claims;
pub mod conservation;
pub mod deadlines;
pub mod entry;
pub mod execute;
pub mod governance;
pub mod load;
pub mod lookup;
pub mod memory_store;
pub mod mempool;
pub mod pre_block;
pub mod receipts;
pub mod recent;
pub mod restore;
pub mod state;
pub mod state_key;
pub mod state_tree;
pub mod validity;
pub mod workers;

mod actions;
mod lanes;
mod remembered;
mod stage;

pub use checkpoint::Place;
pub use claims::{Cell, Claim, Credit, Rules, Touches, touches};
pub use entry::{Account, Currency, Executed, Reserve};
pub use execute::{Outcome, execute, execute_with};
pub use governance::{DecidedSet, Governance};
pub use memory_store::MemoryStore;
pub use mempool::{Admitted, Pool, PoolLimits, entry_of};
pub use pre_block::{Ancestor, BlockContext, build, genesis_header};
pub use state::State;
pub use state_key::{StateChange, StateStore, Visit};
pub use validity::{Found, Verdict, Waiting, check};
pub use workers::{InOrder, Workers};

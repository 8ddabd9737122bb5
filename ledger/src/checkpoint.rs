//! The root over the whole state, taken every `checkpoint_interval` heights.
//!
//! Between checkpoints nothing is hashed but results: a receipt needs no more. The tree holds
//! accounts, free balances, currencies and reserves; remembered transactions follow from the
//! retained blocks and are not in it.

use tallystick_kernel::{Codec, Digest, Writer};
use tallystick_proofs::merkle;

use crate::state::State;
use crate::state_key;

/// The root over all entries of the state: leaf = `[key, value]` as they are persisted, in the
/// order of the keys.
///
/// Costs a hash for every entry: see `docs/adr/0002-order-then-execute.md`.
pub fn root(state: &State) -> Digest {
    merkle::root(&leaves(state))
}

/// Whether a checkpoint is taken at `height`.
pub(crate) fn is_due(state: &State, height: u64) -> bool {
    height.is_multiple_of(state.chain.parameters.checkpoint_interval)
}

fn leaves(state: &State) -> Vec<Vec<u8>> {
    let mut leaves = Vec::with_capacity(state.accounts.len() + state.reserves.len());
    for (id, account) in &state.accounts {
        leaves.push(leaf(&state_key::account(id), &account.to_bytes()));
    }
    for ((account, currency), amount) in &state.balances {
        leaves.push(leaf(&state_key::balance(account, currency), &amount.to_bytes()));
    }
    for (code, currency) in &state.currencies {
        leaves.push(leaf(&state_key::currency(code), &currency.to_bytes()));
    }
    for (id, reserve) in &state.reserves {
        leaves.push(leaf(&state_key::reserve(id), &reserve.to_bytes()));
    }
    leaves
}

fn leaf(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = Writer::new();
    out.array(2).bytes(key).bytes(value);
    out.finish()
}

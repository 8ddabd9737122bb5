//! A state put together again from the entries of a checkpoint and the final blocks before it.
//!
//! Nothing is taken on trust: the entries must come to the checkpoint's root, all money is counted,
//! and what is remembered follows from blocks and results that the caller has verified.

use std::collections::BTreeMap;

use tallystick_kernel::limits::{REMEMBERED, VALIDITY_MAX};
use tallystick_kernel::{AccountId, Digest, Reason, Reference, TimeMs};
use tallystick_proofs::action::{Action, Line};
use tallystick_proofs::genesis::Genesis;
use tallystick_proofs::header::Header;
use tallystick_proofs::result::TransactionResult;
use tallystick_proofs::transaction::{Body, Transaction};

use crate::claims::claims;
use crate::conservation;
use crate::entry::Executed;
use crate::load::{load_accounts, load_governance, load_money};
use crate::recent::{RECENT_HEIGHTS_MIN, Recent};
use crate::remembered::is_past;
use crate::state::{Head, State};
use crate::state_key::StateStore;

/// A final block that was executed before the checkpoint, or at it.
pub struct Past {
    /// Its header.
    pub header: Header,
    /// Its transactions and what became of them, in order.
    pub transactions: Vec<(Transaction, TransactionResult)>,
}

/// A state in the making: a checkpoint's entries, and the blocks recalled so far.
pub struct Restored {
    state: State,
    /// The roots of earlier checkpoints, by height.
    roots: BTreeMap<u64, Digest>,
    kept_from: u64,
}

/// Whether nothing of a block at `time` is remembered once a block at `later` is executed.
pub fn is_forgotten(time: TimeMs, later: TimeMs) -> bool {
    time.after(VALIDITY_MAX).after(REMEMBERED) < later
}

/// The lowest height whose record the state keeps after the block of this header.
pub fn recent_from(header: &Header) -> u64 {
    header.executed_height.min(header.height.saturating_sub(RECENT_HEIGHTS_MIN))
}

/// Under which references a successful transaction can be found, and by whom.
pub fn references(body: &Body) -> Vec<(AccountId, Reference)> {
    let of_lines = |lines: &[Line]| {
        let found = lines.iter().filter_map(|line| Some((line.payee, line.reference?)));
        found.collect()
    };
    match &body.action {
        Action::Mint { payee, reference, .. } => {
            reference.iter().map(|reference| (*payee, *reference)).collect()
        }
        Action::Transfer { lines, .. } | Action::Remit { lines, .. } => of_lines(lines),
        _ => Vec::new(),
    }
}

impl Restored {
    /// Reads the entries of the checkpoint at the height of `header`, a final one.
    ///
    /// `roots` holds the roots of checkpoints by their heights, as final headers report them; that
    /// of this checkpoint MUST be among them. Returns [`Reason::RootMismatch`] when the entries
    /// come to another root, [`Reason::StorageCorrupt`] for entries that cannot be read, and
    /// [`Reason::NotConserved`].
    pub fn read(
        genesis: &Genesis,
        store: &dyn StateStore,
        header: &Header,
        roots: BTreeMap<u64, Digest>,
    ) -> Result<Restored, Reason> {
        let root = *roots.get(&header.height).ok_or(Reason::RootMismatch)?;
        let mut state = State::empty(genesis);
        load_accounts(&mut state, store)?;
        load_money(&mut state, store)?;
        load_governance(&mut state, store)?;
        if state.rebuild_checkpoint() != root {
            return Err(Reason::RootMismatch);
        }
        state.head = Head {
            height: header.height,
            block: header.id(),
            time: header.time,
            checkpoint_height: header.height,
            checkpoint_root: root,
        };
        state.totals = conservation::count(&state)?;
        state.check_totals()?;
        Ok(Restored { state, roots, kept_from: recent_from(header) })
    }

    /// Recalls a block. The caller hands over every block, in the order of their heights, from the
    /// first one of which something is remembered or kept up to the checkpoint's own.
    pub fn recall(&mut self, past: &Past) {
        let height = past.header.height;
        for (transaction, result) in &past.transactions {
            let valid_until = transaction.body.valid_until;
            if !is_past(valid_until, self.state.head.time) {
                self.state.executed.take(Executed { result: *result, valid_until });
            }
        }
        if height >= self.kept_from {
            let interval = self.state.chain.parameters.checkpoint_interval;
            // No later block asks for a checkpoint that no header has reported.
            let root = self.roots.get(&(height - height % interval)).copied().unwrap_or_default();
            let bodies = past.transactions.iter().map(|(transaction, _)| &transaction.body);
            let record = Recent {
                block: past.header.id(),
                time: past.header.time,
                executed_height: past.header.executed_height,
                checkpoint_root: root,
                claims: bodies.flat_map(claims).collect(),
                results: past.transactions.iter().map(|(_, result)| *result).collect(),
            };
            self.state.recent.insert(height, record);
        }
    }

    /// The state, once all blocks are recalled; [`Reason::HeaderMismatch`] when one is missing.
    pub fn finish(mut self, genesis: &Genesis) -> Result<State, Reason> {
        if self.kept_from == 0 {
            self.state.recent.extend(State::genesis(genesis).recent);
        }
        let expected = self.kept_from..=self.state.head.height;
        if self.state.recent.keys().copied().eq(expected) {
            Ok(self.state)
        } else {
            Err(Reason::HeaderMismatch)
        }
    }
}

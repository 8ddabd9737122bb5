//! A second, independent statement of the ledger's rules, against which the first is tested.
//!
//! Written from `docs/capabilities/remittance.md` and deliberately unlike the ledger: nothing is
//! kept but a history of facts, every balance is added up from all of it each time, and every
//! transaction is judged by a plain list of questions. It is slow and shares no code with the
//! crate `ledger`, only the formats of `proofs`.

mod block;
mod history;
mod questions;

use std::collections::BTreeMap;

use tallystick_kernel::{AccountId, CurrencyCode, Reason, ReserveId};
use tallystick_proofs::genesis::{Genesis, ValidatorSet};
use tallystick_proofs::header::{Entry, Header};
use tallystick_proofs::result::TransactionResult;
use tallystick_proofs::transaction::Transaction;

pub use crate::history::ReserveView;
use crate::history::{Fact, History};

/// How long an executed id is remembered past its `valid_until`, in milliseconds.
const REMEMBERED_MS: u64 = 10 * 60 * 1000;

/// The ledger as a history of facts.
#[derive(Clone, Debug)]
pub struct Model {
    history: History,
    done: Vec<(TransactionResult, u64)>,
    last_time_ms: u64,
}

impl Model {
    /// The ledger that a genesis file begins.
    pub fn new(genesis: &Genesis) -> Model {
        let mut facts = Vec::new();
        for (id, owners) in genesis.accounts() {
            facts.push((0, Fact::AccountOpened { id, owners: owners.clone() }));
        }
        for currency in &genesis.currencies {
            let authority = genesis.authority(&currency.code).unwrap_or(AccountId::NONE);
            facts.push((0, Fact::CurrencyMade { code: currency.code, authority }));
        }
        if let (Some(account), Some(governance)) =
            (genesis.operators(), genesis.parameters.governance)
        {
            let version = governance.rules_version;
            let epoch_blocks = governance.epoch_blocks;
            facts.push((0, Fact::OperatorsNamed { account, epoch_blocks }));
            facts.push((0, Fact::RulesDecided { from_height: 0, version }));
        }
        let history = History { facts };
        Model { history, done: Vec::new(), last_time_ms: genesis.time.0 }
    }

    /// Carries out a block, one transaction after another.
    pub fn apply_block(
        &mut self,
        header: &Header,
        transactions: &[(Entry, &Transaction)],
    ) -> Vec<TransactionResult> {
        let mut results: Vec<TransactionResult> = Vec::new();
        for (entry, transaction) in transactions {
            let judged = if self.is_remembered(entry) {
                Err(Reason::AlreadyExecuted)
            } else {
                let at = questions::At { height: header.height, time_ms: header.time.0 };
                questions::judge(&self.history, transaction, at)
            };
            let result = TransactionResult {
                id: entry.id,
                witness_hash: entry.witness_hash,
                height: header.height,
                index: results.len() as u64,
                failure: judged.as_ref().err().copied(),
            };
            results.push(result);
            self.done.push((result, transaction.body.valid_until.0));
            for fact in judged.unwrap_or_default() {
                self.history.facts.push((header.height, fact));
            }
        }
        self.last_time_ms = header.time.0;
        results
    }

    /// Whether a block with these transactions, whose header names this version of the rules, has
    /// this time and reports this height, may follow the given unexecuted ones (those above
    /// `executed_height`). Claims, signers and times only;
    /// [`Reason`] is that of the first entry that must not be there.
    ///
    /// The model may have executed any height at or above `executed_height`: it looks only at facts
    /// that are not above it.
    pub fn judge_block(
        &self,
        version: u64,
        executed_height: u64,
        time_ms: u64,
        ancestors: &[&Transaction],
        transactions: &[&Transaction],
    ) -> Result<(), Reason> {
        let past = self.history.until(executed_height);
        let executed: Vec<_> = self
            .done
            .iter()
            .filter(|(result, _)| result.height <= executed_height)
            .map(|(result, _)| result.id)
            .collect();
        let place = block::Place { version, time_ms, ancestors };
        block::judge(&past, &executed, place, transactions)
    }

    /// Every free balance above zero, added up from the whole history.
    pub fn balances(&self) -> BTreeMap<(AccountId, CurrencyCode), u64> {
        self.history.free_balances()
    }

    /// Every reserve that is there.
    pub fn reserves(&self) -> BTreeMap<ReserveId, ReserveView> {
        self.history.reserves()
    }

    /// How much of a currency was minted and not burned.
    pub fn supply(&self, code: &CurrencyCode) -> u64 {
        u64::try_from(self.history.supply(code)).unwrap_or_default()
    }

    /// The validators that were decided for an epoch, if it begins with new ones.
    pub fn validators_from(&self, epoch: u64) -> Option<&ValidatorSet> {
        self.history.set_decided(epoch)
    }

    fn is_remembered(&self, entry: &Entry) -> bool {
        self.done.iter().any(|(result, valid_until)| {
            result.id == entry.id && self.last_time_ms <= valid_until + REMEMBERED_MS
        })
    }
}

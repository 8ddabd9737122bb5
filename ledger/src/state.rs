//! The ledger's state in memory: ordered maps, read by everyone, written by execution alone.
//!
//! Invariants: maps are ordered, so that every walk is the same on every node; the totals agree
//! with what they total; `recent` reaches down to the height that the head's own header reports.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use tallystick_crypto::PublicKey;
use tallystick_kernel::{
    AccountId, Amount, BlockId, CurrencyCode, Digest, NetworkId, ReserveId, TimeMs, TransactionId,
};
use tallystick_proofs::genesis::{Genesis, Parameters};

use crate::checkpoint::Checkpoint;
use crate::conservation::Totals;
use crate::entry::{Account, Currency, Executed, Reserve};
use crate::governance::Governance;
use crate::lookup::Lookup;
use crate::pre_block::genesis_header_with;
use crate::recent::Recent;
use crate::remembered::Remembered;

/// What the genesis file fixes for every block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The network.
    pub network: NetworkId,
    /// The account whose owners change validators and rules, if there is one.
    pub operators: Option<AccountId>,
    /// The parameters.
    pub parameters: Parameters,
    /// The hash of the parameters.
    pub parameters_hash: Digest,
}

/// How far execution has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The height of the last block executed; zero after genesis.
    pub height: u64,
    /// That block.
    pub block: BlockId,
    /// Its time.
    pub time: TimeMs,
    /// The last checkpoint.
    pub checkpoint_height: u64,
    /// Its root.
    pub checkpoint_root: Digest,
}

/// The state after the block at [`State::height`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub(crate) chain: Chain,
    pub(crate) head: Head,
    pub(crate) accounts: BTreeMap<AccountId, Account>,
    /// Without entries of zero.
    pub(crate) balances: BTreeMap<(AccountId, CurrencyCode), Amount>,
    pub(crate) currencies: BTreeMap<CurrencyCode, Currency>,
    pub(crate) reserves: Lookup<ReserveId, Reserve>,
    pub(crate) reserves_by_account: BTreeSet<(AccountId, ReserveId)>,
    /// The sums of each account's reserves, without entries of zero.
    pub(crate) reserved: BTreeMap<(AccountId, CurrencyCode), Amount>,
    pub(crate) totals: BTreeMap<CurrencyCode, Totals>,
    pub(crate) executed: Remembered,
    pub(crate) recent: BTreeMap<u64, Recent>,
    pub(crate) governance: Governance,
    pub(crate) checkpoint: Checkpoint,
}

impl State {
    /// The state that a genesis file describes, at height zero.
    ///
    /// The caller has checked the file ([`Genesis::read`]).
    pub fn genesis(genesis: &Genesis) -> State {
        let mut state = State::empty(genesis);
        for (id, owners) in genesis.accounts() {
            state.accounts.insert(id, Account { owners: owners.clone(), created_height: 0 });
        }
        for currency in &genesis.currencies {
            let authority = genesis.authority(&currency.code).unwrap_or(AccountId::NONE);
            let entry = Currency { exponent: currency.exponent, authority, supply: Amount::ZERO };
            state.currencies.insert(currency.code, entry);
            state.totals.insert(currency.code, Totals::default());
        }
        state.head.checkpoint_root = state.rebuild_checkpoint();
        let header = genesis_header_with(genesis, state.head.checkpoint_root);
        state.head.block = header.id();
        let record = Recent {
            block: state.head.block,
            time: genesis.time,
            executed_height: 0,
            checkpoint_root: state.head.checkpoint_root,
            claims: Vec::new(),
            results: Vec::new(),
        };
        state.recent.insert(0, record);
        state
    }

    /// A state without entries, from which genesis and loading begin.
    pub(crate) fn empty(genesis: &Genesis) -> State {
        State {
            chain: Chain {
                network: genesis.network(),
                operators: genesis.operators(),
                parameters: genesis.parameters.clone(),
                parameters_hash: genesis.parameters.hash(),
            },
            head: Head {
                height: 0,
                block: BlockId([0; 32]),
                time: genesis.time,
                checkpoint_height: 0,
                checkpoint_root: [0; 32],
            },
            accounts: BTreeMap::new(),
            balances: BTreeMap::new(),
            currencies: BTreeMap::new(),
            reserves: Lookup::default(),
            reserves_by_account: BTreeSet::new(),
            reserved: BTreeMap::new(),
            totals: BTreeMap::new(),
            executed: Remembered::default(),
            recent: BTreeMap::new(),
            governance: Governance::new(genesis),
            checkpoint: Checkpoint::empty(),
        }
    }

    /// What the genesis file fixes.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// What the operators have decided.
    pub fn governance(&self) -> &Governance {
        &self.governance
    }

    /// The epoch of the block after the head.
    pub fn next_epoch(&self) -> u64 {
        self.chain.parameters.epoch_of(self.head.height.saturating_add(1))
    }

    /// How far execution has come.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The height of the last block executed.
    pub fn height(&self) -> u64 {
        self.head.height
    }

    /// The time of the last block executed.
    pub fn time(&self) -> TimeMs {
        self.head.time
    }

    /// The account, if there is one.
    pub fn account(&self, id: &AccountId) -> Option<&Account> {
        self.accounts.get(id)
    }

    /// The account's free balance; zero for an account that is not there.
    pub fn free(&self, account: &AccountId, currency: &CurrencyCode) -> Amount {
        self.balances.get(&(*account, *currency)).copied().unwrap_or(Amount::ZERO)
    }

    /// The account's free balances above zero, in the order of the currencies.
    pub fn balances(
        &self,
        account: &AccountId,
    ) -> impl Iterator<Item = (CurrencyCode, Amount)> + '_ {
        let account = *account;
        self.balances
            .range((account, first_currency())..)
            .take_while(move |((owner, _), _)| *owner == account)
            .map(|((_, currency), amount)| (*currency, *amount))
    }

    /// The currency, if there is one.
    pub fn currency(&self, code: &CurrencyCode) -> Option<&Currency> {
        self.currencies.get(code)
    }

    /// All currencies in order.
    pub fn currencies(&self) -> impl Iterator<Item = (&CurrencyCode, &Currency)> {
        self.currencies.iter()
    }

    /// The reserve, if it is there and unspent.
    pub fn reserve(&self, id: &ReserveId) -> Option<&Reserve> {
        self.reserves.get(id)
    }

    /// The sum of the account's reserves in one currency.
    pub fn reserved(&self, account: &AccountId, currency: &CurrencyCode) -> Amount {
        self.reserved.get(&(*account, *currency)).copied().unwrap_or(Amount::ZERO)
    }

    /// The account's unspent reserves after `after`, in the order of their ids.
    pub fn reserves_after(
        &self,
        account: &AccountId,
        after: &ReserveId,
    ) -> impl Iterator<Item = (ReserveId, &Reserve)> + '_ {
        let account = *account;
        self.reserves_by_account
            .range((Bound::Excluded((account, *after)), Bound::Unbounded))
            .take_while(move |(owner, _)| *owner == account)
            .filter_map(|(_, id)| Some((*id, self.reserves.get(id)?)))
    }

    /// The account's unspent reserves, in the order of their ids.
    pub fn reserves_of(
        &self,
        account: &AccountId,
    ) -> impl Iterator<Item = (ReserveId, &Reserve)> + '_ {
        // No hash is all zero.
        self.reserves_after(account, &ReserveId([0; 32]))
    }

    /// The account's unspent reserves that this key may spend.
    pub fn reserves_locked_to(
        &self,
        mandate: &PublicKey,
        account: &AccountId,
    ) -> impl Iterator<Item = (ReserveId, &Reserve)> + '_ {
        let mandate = *mandate;
        self.reserves_of(account).filter(move |(_, reserve)| {
            reserve.lock.as_ref().is_some_and(|lock| lock.mandate == mandate)
        })
    }

    /// What became of a transaction, as long as it is remembered: until 10 minutes of block time
    /// past its `valid_until`.
    pub fn result(&self, id: &TransactionId) -> Option<&Executed> {
        self.executed.get(id)
    }

    /// The record of a recent height.
    pub fn recent(&self, height: u64) -> Option<&Recent> {
        self.recent.get(&height)
    }

    /// Whether a transaction was executed in the heights in `(above, up_to]`, as far as they are
    /// kept.
    pub fn has_results(&self, above: u64, up_to: u64) -> bool {
        (above + 1..=up_to)
            .any(|height| self.recent.get(&height).is_some_and(|record| !record.results.is_empty()))
    }

    /// The root over the results of the heights in `(above, up_to]`; none when one of them is not
    /// executed or no longer kept.
    pub fn results_root(&self, above: u64, up_to: u64) -> Option<Digest> {
        let records: Option<Vec<&Recent>> =
            (above + 1..=up_to).map(|height| self.recent.get(&height)).collect();
        Some(crate::receipts::results_root(records?.iter().flat_map(|record| &record.results)))
    }
}

/// The first code in the order of [`CurrencyCode`]s: codes are ordered by their bytes, and `A00`
/// is the lowest that is well-formed.
pub(crate) fn first_currency() -> CurrencyCode {
    match CurrencyCode::new("A00") {
        Ok(code) => code,
        Err(_) => unreachable!("A00 is a well-formed code"),
    }
}

//! The state as it is persisted: read at start, written whole once.

use tallystick_kernel::{
    AccountId, Amount, BlockId, Codec, Digest, NetworkId, Reader, Reason, ReserveId, TimeMs, Writer,
};
use tallystick_proofs::genesis::Genesis;

use crate::conservation;
use crate::entry::{Account, Currency, Reserve};
use crate::governance::DecidedSet;
use crate::receipts::{encode_results, results_at};
use crate::recent::Recent;
use crate::remembered::Remembered;
use crate::state::{Head, State};
use crate::state_key::{self, StateChange, StateStore};

/// The version of the persisted form.
const STATE_VERSION: u64 = 3;
/// Bytes of one persisted entry.
const ENTRY_BYTES_MAX: usize = 8 * 1024;

impl State {
    /// Reads the state that was persisted; none when there is none yet.
    ///
    /// Recounts all money. Returns [`Reason::WrongNetwork`] for the state of another genesis file,
    /// [`Reason::VersionUnknown`], [`Reason::StorageCorrupt`] for what cannot be read,
    /// [`Reason::NotConserved`], and the store's own reasons.
    pub fn load(genesis: &Genesis, store: &dyn StateStore) -> Result<Option<State>, Reason> {
        let Some(head) = store.get(state_key::HEAD)? else { return Ok(None) };
        let mut state = State::empty(genesis);
        state.head = decode_head(&head, &state.chain.network)?;
        load_accounts(&mut state, store)?;
        load_money(&mut state, store)?;
        load_governance(&mut state, store)?;
        load_memory(&mut state, store)?;
        state.totals = conservation::count(&state)?;
        state.check_totals()?;
        match state.recent.last_key_value() {
            Some((height, record))
                if *height == state.head.height && record.block == state.head.block =>
            {
                state.restore_checkpoint()?;
                Ok(Some(state))
            }
            _ => Err(Reason::StorageCorrupt),
        }
    }

    /// The whole state as writes into an empty store: what a node persists after
    /// [`State::genesis`], before its first block.
    pub fn persisted(&self) -> Vec<StateChange> {
        let mut changes = vec![change(state_key::HEAD.to_vec(), encode_head(self))];
        for (id, account) in &self.accounts {
            changes.push(change(state_key::account(id), account.to_bytes()));
        }
        for ((account, currency), amount) in &self.balances {
            changes.push(change(state_key::balance(account, currency), amount.to_bytes()));
        }
        for (code, currency) in &self.currencies {
            changes.push(change(state_key::currency(code), currency.to_bytes()));
        }
        for (id, reserve) in self.reserves.sorted() {
            changes.push(change(state_key::reserve(id), reserve.to_bytes()));
        }
        for (height, version) in self.governance.rules.range(1..) {
            changes.push(change(state_key::rules(*height), version.to_bytes()));
        }
        for (epoch, set) in self.governance.sets.range(1..) {
            changes.push(change(state_key::validators(*epoch), set.to_bytes()));
        }
        for (height, record) in self.executed.records() {
            changes.push(change(state_key::remembered(height), record));
        }
        for (height, record) in &self.recent {
            changes.push(change(state_key::recent(*height), record.encode()));
            changes.push(change(state_key::results(*height), encode_results(&record.results)));
        }
        changes
    }
}

fn change(key: Vec<u8>, value: Vec<u8>) -> StateChange {
    StateChange { key, value: Some(value) }
}

pub(crate) fn load_accounts(state: &mut State, store: &dyn StateStore) -> Result<(), Reason> {
    store.scan(state_key::ACCOUNT, &mut |key, value| {
        let id = AccountId(state_key::id_after(state_key::ACCOUNT, key)?);
        state.accounts.insert(id, entry::<Account>(value)?);
        Ok(())
    })?;
    store.scan(state_key::CURRENCY, &mut |key, value| {
        let code = state_key::currency_after(state_key::CURRENCY, key)?;
        state.currencies.insert(code, entry::<Currency>(value)?);
        Ok(())
    })
}

pub(crate) fn load_money(state: &mut State, store: &dyn StateStore) -> Result<(), Reason> {
    store.scan(state_key::BALANCE, &mut |key, value| {
        let place = state_key::account_and_currency_after(state_key::BALANCE, key)?;
        state.balances.insert(place, entry::<Amount>(value)?);
        Ok(())
    })?;
    store.scan(state_key::RESERVE, &mut |key, value| {
        let id = ReserveId(state_key::id_after(state_key::RESERVE, key)?);
        let reserve = entry::<Reserve>(value)?;
        state.reserves_by_account.insert((reserve.account, id));
        let sum = state.reserved.entry((reserve.account, reserve.currency)).or_default();
        *sum = sum.plus(reserve.amount).map_err(|_| Reason::NotConserved)?;
        state.reserves.insert(id, reserve);
        Ok(())
    })
}

pub(crate) fn load_governance(state: &mut State, store: &dyn StateStore) -> Result<(), Reason> {
    store.scan(state_key::RULES, &mut |key, value| {
        let height = state_key::height_after(state_key::RULES, key)?;
        state.governance.rules.insert(height, entry::<u64>(value)?);
        Ok(())
    })?;
    store.scan(state_key::VALIDATORS, &mut |key, value| {
        let epoch = state_key::height_after(state_key::VALIDATORS, key)?;
        state.governance.sets.insert(epoch, entry::<DecidedSet>(value)?);
        Ok(())
    })
}

fn load_memory(state: &mut State, store: &dyn StateStore) -> Result<(), Reason> {
    state.executed = Remembered::load(store, state.head.time)?;
    store.scan(state_key::RECENT, &mut |key, value| {
        let height = state_key::height_after(state_key::RECENT, key)?;
        let results = results_at(store, height)?;
        let record = Recent::decode(value, results).map_err(|_| Reason::StorageCorrupt)?;
        state.recent.insert(height, record);
        Ok(())
    })
}

fn entry<T: Codec>(bytes: &[u8]) -> Result<T, Reason> {
    T::from_bytes(bytes, ENTRY_BYTES_MAX).map_err(|_| Reason::StorageCorrupt)
}

/// `[version, network, height, block, time, checkpoint_height, checkpoint_root]`.
pub(crate) fn encode_head(state: &State) -> Vec<u8> {
    let mut out = Writer::new();
    out.array(7).u64(STATE_VERSION).value(&state.chain.network).u64(state.head.height);
    out.value(&state.head.block).value(&state.head.time).u64(state.head.checkpoint_height);
    out.bytes(&state.head.checkpoint_root);
    out.finish()
}

fn decode_head(bytes: &[u8], network: &NetworkId) -> Result<Head, Reason> {
    let mut input = Reader::new(bytes);
    input.tuple(7).map_err(|_| Reason::StorageCorrupt)?;
    if input.u64().map_err(|_| Reason::StorageCorrupt)? != STATE_VERSION {
        return Err(Reason::VersionUnknown);
    }
    if NetworkId::decode(&mut input).map_err(|_| Reason::StorageCorrupt)? != *network {
        return Err(Reason::WrongNetwork);
    }
    head_fields(&mut input).map_err(|_| Reason::StorageCorrupt)
}

fn head_fields(input: &mut Reader<'_>) -> Result<Head, Reason> {
    Ok(Head {
        height: input.u64()?,
        block: BlockId::decode(input)?,
        time: TimeMs::decode(input)?,
        checkpoint_height: input.u64()?,
        checkpoint_root: <Digest as Codec>::decode(input)?,
    })
}

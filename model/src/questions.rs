//! The questions that each transaction must answer, one after another, and the facts that follow.

use tallystick_kernel::{AccountId, Amount, CurrencyCode, Reason, ReserveId};
use tallystick_proofs::action::{Action, Line, Lock};
use tallystick_proofs::owners::Owners;
use tallystick_proofs::transaction::{Transaction, account_id, reserve_id};

use crate::history::{Fact, History, ReserveView};

/// No supply is greater.
const SUPPLY_MAX: i128 = (1 << 63) - 1;

type Facts = Result<Vec<Fact>, Reason>;

/// A question: what must hold, and the code if it does not.
fn ask(holds: bool, reason: Reason) -> Result<(), Reason> {
    if holds { Ok(()) } else { Err(reason) }
}

/// Where a transaction stands.
#[derive(Clone, Copy)]
pub(crate) struct At {
    pub(crate) height: u64,
    pub(crate) time_ms: u64,
}

/// What the transaction does to this history in a block of this height and time.
pub(crate) fn judge(history: &History, transaction: &Transaction, at: At) -> Facts {
    let time_ms = at.time_ms;
    let (body, id) = (&transaction.body, transaction.id());
    if let Action::AccountOpen { owners } = &body.action {
        signed_by(owners, transaction)?;
        return Ok(vec![Fact::AccountOpened { id: account_id(&id), owners: owners.clone() }]);
    }
    let account = body.account;
    let owners = history.owners(&account).ok_or(Reason::AccountUnknown)?;
    if let Action::Remit { currency, lines, reserves, reopen } = &body.action {
        let remit = Remit { history, transaction, currency, lines, reserves, reopen, time_ms };
        return remit.judge(owners);
    }
    signed_by(owners, transaction)?;
    match &body.action {
        Action::Mint { currency, payee, amount, .. } => {
            let authority = history.authority(currency).ok_or(Reason::CurrencyUnknown)?;
            ask(authority == account, Reason::NotAuthority)?;
            ask(history.owners(payee).is_some(), Reason::PayeeUnknown)?;
            let supply = history.supply(currency) + i128::from(amount.minor());
            ask(supply <= SUPPLY_MAX, Reason::SupplyExceeded)?;
            Ok(vec![Fact::Minted { code: *currency, to: *payee, minor: amount.minor() }])
        }
        Action::Burn { currency, amount } => {
            let authority = history.authority(currency).ok_or(Reason::CurrencyUnknown)?;
            ask(authority == account, Reason::NotAuthority)?;
            let minor = amount.minor();
            ask(history.free(&account, currency) >= minor.into(), Reason::InsufficientFunds)?;
            Ok(vec![Fact::Burned { code: *currency, from: account, minor }])
        }
        Action::Transfer { currency, lines } => {
            known(history, currency, lines)?;
            let sum = sum(lines.iter().map(|line| line.amount))?;
            ask(history.free(&account, currency) >= sum, Reason::InsufficientFunds)?;
            Ok(payments(account, currency, lines))
        }
        Action::ReserveOpen { .. } => set_aside(history, transaction, owners, time_ms),
        Action::ReserveClose { reserves } => reserves
            .iter()
            .map(|id| {
                let reserve = own_reserve(history, &account, id)?;
                ask(!is_locked(&reserve, time_ms), Reason::ReserveLocked)?;
                Ok(Fact::Freed { id: *id })
            })
            .collect(),
        Action::UnlockRequest { reserves } => reserves
            .iter()
            .map(|id| {
                let reserve = own_reserve(history, &account, id)?;
                let lock = reserve.lock.ok_or(Reason::ReserveNotLocked)?;
                ask(reserve.unlock_at_ms.is_none(), Reason::UnlockPending)?;
                Ok(Fact::UnlockAsked { id: *id, unlock_at_ms: time_ms + lock.unlock_delay.0 })
            })
            .collect(),
        Action::ValidatorsChange { .. } | Action::RulesActivate { .. } => {
            decide(history, transaction, at.height)
        }
        Action::AccountOpen { .. } | Action::Remit { .. } => Err(Reason::ActionUnknown),
    }
}

/// The questions of what only the operators decide.
fn decide(history: &History, transaction: &Transaction, height: u64) -> Facts {
    let (operators, epoch_blocks) = history.operators().ok_or(Reason::NotOperators)?;
    ask(operators == transaction.body.account, Reason::NotOperators)?;
    let epoch = height / epoch_blocks + 2;
    match &transaction.body.action {
        Action::ValidatorsChange { validators } => {
            ask(history.set_decided(epoch).is_none(), Reason::ChangePending)?;
            Ok(vec![Fact::SetDecided { epoch, set: validators.clone() }])
        }
        Action::RulesActivate { version, height: from_height } => {
            let (last_height, last) = history.rules_decided().unwrap_or_default();
            ask(*version == last + 1 && *from_height > last_height, Reason::RulesNotNext)?;
            ask(*from_height >= epoch * epoch_blocks, Reason::ActivationTooSoon)?;
            Ok(vec![Fact::RulesDecided { from_height: *from_height, version: *version }])
        }
        _ => Err(Reason::ActionUnknown),
    }
}

/// The questions of `reserve_open`.
fn set_aside(history: &History, transaction: &Transaction, owners: &Owners, time_ms: u64) -> Facts {
    let account = transaction.body.account;
    let Action::ReserveOpen { currency, amounts, lock, expiry } = &transaction.body.action else {
        return Err(Reason::ActionUnknown);
    };
    let own = |lock: &Lock| owners.keys.contains(&lock.mandate);
    ask(!lock.as_ref().is_some_and(own), Reason::LockMalformed)?;
    ask(expiry.is_none_or(|expiry| time_ms < expiry.0), Reason::ReserveExpired)?;
    ask(history.authority(currency).is_some(), Reason::CurrencyUnknown)?;
    let sum = sum(amounts.iter().copied())?;
    ask(history.free(&account, currency) >= sum, Reason::InsufficientFunds)?;
    let opened = (0..).zip(amounts).map(|(index, amount)| Fact::SetAside {
        id: reserve_id(&transaction.id(), index),
        view: ReserveView {
            account,
            code: *currency,
            minor: amount.minor(),
            lock: lock.clone(),
            expiry_ms: expiry.map(|expiry| expiry.0),
            unlock_at_ms: None,
        },
    });
    Ok(opened.collect())
}

struct Remit<'r> {
    history: &'r History,
    transaction: &'r Transaction,
    currency: &'r CurrencyCode,
    lines: &'r [Line],
    reserves: &'r [ReserveId],
    reopen: &'r [Amount],
    time_ms: u64,
}

impl Remit<'_> {
    fn judge(&self, owners: &Owners) -> Facts {
        let account = self.transaction.body.account;
        let under_mandate = remitter(owners, self.transaction)?;
        known(self.history, self.currency, self.lines)?;
        let mut named = Vec::new();
        for id in self.reserves {
            let reserve = usable(self.history, self.transaction, owners, id, self.time_ms)?;
            ask(reserve.code == *self.currency, Reason::CurrencyMismatch)?;
            named.push(reserve);
        }
        let paid = sum(self.lines.iter().map(|line| line.amount))?;
        for lock in named.iter().filter_map(|reserve| reserve.lock.as_ref()) {
            if !under_mandate {
                break;
            }
            for line in self.lines {
                let allowed = lock.payees.is_empty() || lock.payees.contains(&line.payee);
                ask(allowed, Reason::PayeeNotAllowed)?;
            }
            let cap = lock.payment_max.map_or(i128::MAX, |cap| i128::from(cap.minor()));
            ask(paid <= cap, Reason::MandateCapExceeded)?;
        }
        let held: i128 = named.iter().map(|reserve| i128::from(reserve.minor)).sum();
        ask(held >= paid, Reason::ReservesShort)?;
        let reopened = sum(self.reopen.iter().copied())?;
        ask(held - paid >= reopened, Reason::ReopenExceedsChange)?;
        let mut pairs = named.windows(2);
        let alike =
            pairs.all(|two| two[0].lock == two[1].lock && two[0].expiry_ms == two[1].expiry_ms);
        ask(alike || self.reopen.is_empty(), Reason::TermsDiffer)?;
        Ok(self.facts(account, &named))
    }

    /// Everything named becomes free, is paid from there, and what is re-opened is set aside again.
    fn facts(&self, account: AccountId, named: &[ReserveView]) -> Vec<Fact> {
        let mut facts: Vec<Fact> = self.reserves.iter().map(|id| Fact::Freed { id: *id }).collect();
        facts.extend(payments(account, self.currency, self.lines));
        let unlock_at_ms = named.iter().filter_map(|reserve| reserve.unlock_at_ms).max();
        for (index, amount) in (0..).zip(self.reopen) {
            let view = ReserveView { minor: amount.minor(), unlock_at_ms, ..named[0].clone() };
            let id = reserve_id(&self.transaction.id(), index);
            facts.push(Fact::SetAside { id, view });
        }
        facts
    }
}

/// Exactly a threshold of these owners signed.
pub(crate) fn signed_by(owners: &Owners, transaction: &Transaction) -> Result<(), Reason> {
    let signers = &transaction.witness.0;
    for (signer, _) in signers {
        ask(owners.keys.iter().any(|key| key == signer), Reason::NotOwner)?;
    }
    ask(signers.len() >= owners.threshold.into(), Reason::SignatureMissing)?;
    ask(signers.len() <= owners.threshold.into(), Reason::SignatureExtra)
}

/// Whether it is one key that is not the owners'; several keys must be the owners.
pub(crate) fn remitter(owners: &Owners, transaction: &Transaction) -> Result<bool, Reason> {
    match signed_by(owners, transaction) {
        Ok(()) => Ok(false),
        Err(_) if transaction.witness.0.len() == 1 => Ok(true),
        Err(reason) => Err(reason),
    }
}

/// A reserve that the signers of a remit can use at this time.
pub(crate) fn usable(
    history: &History,
    transaction: &Transaction,
    owners: &Owners,
    id: &ReserveId,
    time_ms: u64,
) -> Result<ReserveView, Reason> {
    let reserve = own_reserve(history, &transaction.body.account, id)?;
    let not_owner = signed_by(owners, transaction).err();
    if let (Some(reason), (key, _)) = (not_owner, transaction.witness.0[0]) {
        let lock = reserve.lock.as_ref().ok_or(reason)?;
        ask(lock.mandate == key, Reason::NotMandate)?;
    }
    ask(reserve.expiry_ms.is_none_or(|expiry| time_ms < expiry), Reason::ReserveExpired)?;
    ask(not_owner.is_some() || !is_locked(&reserve, time_ms), Reason::ReserveLocked)?;
    Ok(reserve)
}

/// A reserve of this account.
pub(crate) fn own_reserve(
    history: &History,
    account: &AccountId,
    id: &ReserveId,
) -> Result<ReserveView, Reason> {
    let reserve = history.reserve(id).ok_or(Reason::ReserveUnknown)?;
    ask(reserve.account == *account, Reason::ReserveNotOwned)?;
    Ok(reserve)
}

/// Whether the owners cannot spend the reserve yet.
pub(crate) fn is_locked(reserve: &ReserveView, time_ms: u64) -> bool {
    match (&reserve.lock, reserve.unlock_at_ms) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(_), Some(unlock_at)) => time_ms < unlock_at,
    }
}

fn known(history: &History, currency: &CurrencyCode, lines: &[Line]) -> Result<(), Reason> {
    ask(history.authority(currency).is_some(), Reason::CurrencyUnknown)?;
    for line in lines {
        ask(history.owners(&line.payee).is_some(), Reason::PayeeUnknown)?;
    }
    Ok(())
}

fn payments(from: AccountId, code: &CurrencyCode, lines: &[Line]) -> Vec<Fact> {
    let paid =
        |line: &Line| Fact::Paid { code: *code, from, to: line.payee, minor: line.amount.minor() };
    lines.iter().map(paid).collect()
}

/// More than there can ever be is refused as such, whoever has how much.
fn sum(amounts: impl Iterator<Item = Amount>) -> Result<i128, Reason> {
    let sum = amounts.map(|amount| i128::from(amount.minor())).sum();
    ask(sum <= SUPPLY_MAX, Reason::AmountOverflow)?;
    Ok(sum)
}

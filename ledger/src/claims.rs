//! What a transaction touches, read from its bytes alone, and who may take a claim.
//!
//! Invariants: a transaction that takes none of a reserve's claim cannot change that reserve. A
//! claim is taken only with a signature that could spend, close or unlock the reserve right then,
//! so that nobody keeps a reserve busy who could not use it.

use tallystick_kernel::{
    AccountId, Codec, CurrencyCode, Reader, Reason, ReserveId, TimeMs, TransactionId, Writer,
};
use tallystick_proofs::action::Action;
use tallystick_proofs::header::RULES_VERSION_MAX;
use tallystick_proofs::transaction::{Body, Transaction, account_id, reserve_id};

use crate::actions::spender::{Spender, Use};
use crate::state::State;

/// The first version of the rules by which [`check_authority`] is judged.
pub(crate) const AUTHORITY_JUDGED: u64 = 2;

/// Which rules a program knows. Only tests that show what a rule is for switch one off, or know
/// fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The newest version that is known.
    pub version_max: u64,
    /// Whether two transactions of a block, or of it and its unexecuted ancestors, may not share a
    /// claim, and a claim must be alive.
    pub claims: bool,
}

/// Something that is used up or changed exclusively.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// A reserve.
    Reserve(ReserveId),
}

/// Something whose changes happen in block order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cell {
    /// What an account can spend freely in one currency; only debits are ordered.
    FreeBalance(AccountId, CurrencyCode),
    /// How much of a currency exists.
    Supply(CurrencyCode),
    /// What the operators decide.
    Governance,
}

/// Public money added to a free balance: commutes with everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Credit {
    /// Who receives.
    pub account: AccountId,
    /// In which currency; none when the bytes do not say (that of the reserves closed).
    pub currency: Option<CurrencyCode>,
}

/// All that a transaction touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touches {
    /// Used up or changed exclusively.
    pub claims: Vec<Claim>,
    /// Changed in block order.
    pub cells: Vec<Cell>,
    /// Added to.
    pub credits: Vec<Credit>,
}

/// Things that a transaction makes and that others may name once it is final.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// The account opened.
    pub account: Option<AccountId>,
    /// The reserves opened.
    pub reserves: Vec<ReserveId>,
}

/// What the transaction with this body touches.
pub fn touches(body: &Body) -> Touches {
    let (account, mut all) = (body.account, Touches::default());
    let credit = |account, currency| Credit { account, currency };
    match &body.action {
        Action::AccountOpen { .. } => {}
        Action::Mint { currency, payee, .. } => {
            all.cells.push(Cell::Supply(*currency));
            all.credits.push(credit(*payee, Some(*currency)));
        }
        Action::Burn { currency, .. } => {
            all.cells.push(Cell::Supply(*currency));
            all.cells.push(Cell::FreeBalance(account, *currency));
        }
        Action::Transfer { currency, lines } => {
            all.cells.push(Cell::FreeBalance(account, *currency));
            all.credits.extend(lines.iter().map(|line| credit(line.payee, Some(*currency))));
        }
        Action::ReserveOpen { currency, .. } => {
            all.cells.push(Cell::FreeBalance(account, *currency));
        }
        Action::ReserveClose { .. } => all.credits.push(credit(account, None)),
        Action::UnlockRequest { .. } => {}
        Action::ValidatorsChange { .. } | Action::RulesActivate { .. } => {
            all.cells.push(Cell::Governance);
        }
        Action::Remit { currency, lines, .. } => {
            all.credits.extend(lines.iter().map(|line| credit(line.payee, Some(*currency))));
            all.credits.push(credit(account, Some(*currency)));
        }
    }
    all.claims.extend(reserves_named(&body.action).iter().copied().map(Claim::Reserve));
    all
}

/// Whether the action touches [`Cell::Governance`].
pub(crate) fn is_governance(action: &Action) -> bool {
    matches!(action, Action::ValidatorsChange { .. } | Action::RulesActivate { .. })
}

/// The claims alone.
pub fn claims(body: &Body) -> impl Iterator<Item = Claim> + '_ {
    reserves_named(&body.action).iter().copied().map(Claim::Reserve)
}

/// What a transaction makes, by ids that depend on its own id alone.
pub fn made(id: &TransactionId, action: &Action) -> Made {
    let count = match action {
        Action::ReserveOpen { amounts, .. } => amounts.len(),
        Action::Remit { reopen, .. } => reopen.len(),
        _ => 0,
    };
    Made {
        account: matches!(action, Action::AccountOpen { .. }).then(|| account_id(id)),
        reserves: (0..count as u64).map(|index| reserve_id(id, index)).collect(),
    }
}

/// Whether every claim of `transaction` is alive in the state at `height` and may be taken by its
/// signers in a block of time `time`.
///
/// `height` is at most the state's own. For a claim that no block above `height` has taken, the
/// answer is the same whether the state stands at `height` or above: a reserve changes only
/// through its claim, and reserves and accounts opened above `height` do not count.
///
/// Returns, in this order: [`Reason::AccountUnknown`], [`Reason::NotOwner`],
/// [`Reason::SignatureMissing`], [`Reason::SignatureExtra`], then for each reserve in the order
/// named [`Reason::ReserveUnknown`], [`Reason::ReserveNotOwned`], and why these signers cannot use
/// it now: [`Reason::NotOwner`], [`Reason::NotMandate`], [`Reason::ReserveExpired`],
/// [`Reason::ReserveLocked`], [`Reason::ReserveNotLocked`], [`Reason::UnlockPending`].
pub fn check_claims(
    state: &State,
    transaction: &Transaction,
    height: u64,
    time: TimeMs,
) -> Result<(), Reason> {
    let body = &transaction.body;
    let reserves = reserves_named(&body.action);
    let Some(wanted) = Use::of(&body.action) else { return Ok(()) };
    let account = state
        .account(&body.account)
        .filter(|account| account.created_height <= height)
        .ok_or(Reason::AccountUnknown)?;
    let spender = Spender::of(account, &transaction.witness, wanted)?;
    reserves.iter().try_for_each(|id| {
        let reserve = state
            .reserve(id)
            .filter(|reserve| reserve.created_height <= height)
            .ok_or(Reason::ReserveUnknown)?;
        spender.check(&body.account, reserve, wanted, time)
    })
}

/// Whether the signers control the account at `height`, for every action: else anybody could use
/// up somebody's transaction by listing it with a witness of his own.
///
/// Returns [`Reason::AccountUnknown`], and the reasons of `Owners::allow`; a remit may be signed by
/// one foreign key, which [`check_claims`] judges.
pub(crate) fn check_authority(
    state: &State,
    transaction: &Transaction,
    height: u64,
) -> Result<(), Reason> {
    let body = &transaction.body;
    if let Action::AccountOpen { owners } = &body.action {
        return owners.allow(transaction.witness.signers());
    }
    let account = state
        .account(&body.account)
        .filter(|account| account.created_height <= height)
        .ok_or(Reason::AccountUnknown)?;
    match Use::of(&body.action) {
        Some(wanted) => Spender::of(account, &transaction.witness, wanted).map(drop),
        None => account.owners.allow(transaction.witness.signers()),
    }
}

fn reserves_named(action: &Action) -> &[ReserveId] {
    match action {
        Action::ReserveClose { reserves }
        | Action::UnlockRequest { reserves }
        | Action::Remit { reserves, .. } => reserves,
        _ => &[],
    }
}

impl Default for Rules {
    fn default() -> Self {
        Rules { version_max: RULES_VERSION_MAX, claims: true }
    }
}

impl Rules {
    /// [`Reason::RulesUnknown`] for a version that is not known.
    pub fn check_known(&self, version: u64) -> Result<(), Reason> {
        if version <= self.version_max { Ok(()) } else { Err(Reason::RulesUnknown) }
    }
}

impl Codec for Claim {
    fn encode(&self, out: &mut Writer) {
        match self {
            Claim::Reserve(id) => out.array(2).u64(1).value(id),
        };
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(2)?;
        match input.u64()? {
            1 => ReserveId::decode(input).map(Claim::Reserve),
            _ => Err(Reason::Malformed),
        }
    }
}

//! Authorizations: a verified payment code becomes a hold on specific reserves.

use tallystick_kernel::limits::RESERVES_IN_MAX;
use tallystick_kernel::{
    AccountId, Amount, Codec, CurrencyCode, Digest, HolderId, Reader, Reason, Reference, ReserveId,
    TimeMs, Writer,
};
use tallystick_proofs::action::Lock;
use tallystick_proofs::payment_code::PaymentClaims;
use tallystick_proofs::reserve_planner;

use crate::holder::Holder;
use crate::settlement::Progress;

/// Bytes of a stored authorization at most.
pub const AUTHORIZATION_BYTES_MAX: usize = 8 * 1024;

/// An authorization. The record's key is the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// Follows from the request, so that a request that is sent again makes no second one.
    pub id: Digest,
    /// The merchant who asked, by the name of its key; nobody else is told about it.
    pub asked_by: String,
    /// Who pays.
    pub holder: HolderId,
    /// The holder's ledger account.
    pub account: AccountId,
    /// Who is paid.
    pub payee: AccountId,
    /// The currency.
    pub currency: CurrencyCode,
    /// How much.
    pub amount: Amount,
    /// By what the payee finds the order.
    pub reference: Reference,
    /// The code that was shown.
    pub code_id: [u8; 16],
    /// The reserves that are held.
    pub reserves: Vec<ReserveId>,
    /// What comes back from them and is reserved again.
    pub change: Option<Amount>,
    /// How far the settlement is.
    pub progress: Progress,
    /// When it was decided.
    pub created: TimeMs,
}

/// What a merchant asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The merchant, by the name of its key.
    pub by: String,
    /// Who is to be paid.
    pub payee: AccountId,
    /// The currency.
    pub currency: CurrencyCode,
    /// How much.
    pub amount: Amount,
    /// By what the payee finds the order.
    pub reference: Reference,
}

/// A reserve that the ledger shows as locked to this issuer and that no authorization holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Available {
    /// The reserve.
    pub id: ReserveId,
    /// Its currency.
    pub currency: CurrencyCode,
    /// Its size.
    pub amount: Amount,
    /// Its lock.
    pub lock: Lock,
    /// From when on it only closes.
    pub expiry: Option<TimeMs>,
    /// From when on its owner may spend it again, if that was asked for.
    pub unlock_at: Option<TimeMs>,
}

/// The issuer's own rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most that a code pays which is not bound to an amount.
    pub unbound_max: Amount,
}

/// Whether a holder's code may pay this, in this order: [`Reason::TokenUnknown`] (the code is of
/// another holder), [`Reason::AccountNotLinked`], [`Reason::TokenBlocked`], [`Reason::AmountZero`],
/// [`Reason::CurrencyMismatch`] and [`Reason::AmountDiffers`] for a bound code,
/// [`Reason::CodeLimitExceeded`] for another.
pub fn check(
    holder: &Holder,
    claims: &PaymentClaims,
    asked: &Asked,
    limits: &Limits,
) -> Result<AccountId, Reason> {
    let link = holder.require_link()?;
    if link.token != claims.account_token {
        return Err(Reason::TokenUnknown);
    }
    if holder.blocked {
        return Err(Reason::TokenBlocked);
    }
    if asked.amount.is_zero() {
        return Err(Reason::AmountZero);
    }
    match claims.amount {
        Some((currency, _)) if currency != asked.currency => Err(Reason::CurrencyMismatch),
        Some((_, amount)) if amount != asked.amount => Err(Reason::AmountDiffers),
        None if asked.amount > limits.unbound_max => Err(Reason::CodeLimitExceeded),
        _ => Ok(link.account),
    }
}

/// Decides a payment: [`check`], then the reserves to hold. The caller MUST store the authorization
/// with a hold for each reserve and the code's id as used, all in one guarded write.
///
/// Returns the reasons of [`check`], and [`Reason::NoReserveFits`].
pub fn decide(
    id: Digest,
    holder: &Holder,
    claims: &PaymentClaims,
    asked: &Asked,
    limits: &Limits,
    available: &[Available],
    now: TimeMs,
) -> Result<Authorization, Reason> {
    let account = check(holder, claims, asked, limits)?;
    let (reserves, sum) = choose(available, asked, now)?;
    let change = sum.minus(asked.amount)?;
    Ok(Authorization {
        id,
        asked_by: asked.by.clone(),
        holder: holder.id,
        account,
        payee: asked.payee,
        currency: asked.currency,
        amount: asked.amount,
        reference: asked.reference,
        code_id: claims.code_id,
        reserves,
        change: (!change.is_zero()).then_some(change),
        progress: Progress::Accepted,
        created: now,
    })
}

/// Chooses among reserves of equal terms, since change is reserved again under the terms of what it
/// comes from; of several choices the one that is least over, then the one of fewest ids.
fn choose(
    available: &[Available],
    asked: &Asked,
    now: TimeMs,
) -> Result<(Vec<ReserveId>, Amount), Reason> {
    let usable: Vec<&Available> =
        available.iter().filter(|reserve| is_usable(reserve, asked, now)).collect();
    let mut best: Option<(Amount, usize, Vec<ReserveId>)> = None;
    let mut seen: Vec<(&Lock, Option<TimeMs>)> = Vec::new();
    for reserve in &usable {
        let terms = (&reserve.lock, reserve.expiry);
        if seen.contains(&terms) {
            continue;
        }
        seen.push(terms);
        let alike = usable.iter().filter(|other| (&other.lock, other.expiry) == terms);
        let sizes: Vec<(ReserveId, Amount)> = alike.map(|other| (other.id, other.amount)).collect();
        let Ok(ids) = reserve_planner::choose(&sizes, asked.amount) else { continue };
        let chosen = sizes.iter().filter(|(id, _)| ids.contains(id));
        let sum = Amount::sum(chosen.map(|(_, amount)| *amount))?;
        let better =
            best.as_ref().is_none_or(|(over, count, _)| (sum, ids.len()) < (*over, *count));
        if better {
            best = Some((sum, ids.len(), ids));
        }
    }
    let (sum, _, ids) = best.ok_or(Reason::NoReserveFits)?;
    Ok((ids, sum))
}

fn is_usable(reserve: &Available, asked: &Asked, now: TimeMs) -> bool {
    let Lock { payment_max, payees, .. } = &reserve.lock;
    let soon = now.after(crate::settlement::SETTLEMENT_LIFE);
    reserve.currency == asked.currency
        && reserve.unlock_at.is_none()
        && reserve.expiry.is_none_or(|expiry| expiry > soon)
        && payment_max.is_none_or(|max| asked.amount <= max)
        && (payees.is_empty() || payees.contains(&asked.payee))
}

impl Codec for Authorization {
    fn encode(&self, out: &mut Writer) {
        out.array(14)
            .u64(VERSION)
            .bytes(&self.id)
            .text(&self.asked_by)
            .value(&self.holder)
            .value(&self.account);
        out.value(&self.payee).value(&self.currency).value(&self.amount).value(&self.reference);
        out.bytes(&self.code_id).list(&self.reserves).option(self.change.as_ref());
        out.value(&self.progress).value(&self.created);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(14)?;
        if input.u64()? != VERSION {
            return Err(Reason::VersionUnknown);
        }
        Ok(Authorization {
            id: input.byte_array()?,
            asked_by: input.text(256)?.to_owned(),
            holder: HolderId::decode(input)?,
            account: AccountId::decode(input)?,
            payee: AccountId::decode(input)?,
            currency: CurrencyCode::decode(input)?,
            amount: Amount::decode(input)?,
            reference: Reference::decode(input)?,
            code_id: input.byte_array()?,
            reserves: input.list(RESERVES_IN_MAX)?,
            change: input.option()?,
            progress: Progress::decode(input)?,
            created: TimeMs::decode(input)?,
        })
    }
}

const VERSION: u64 = 1;

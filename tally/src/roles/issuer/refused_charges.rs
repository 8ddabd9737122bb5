//! Charges that were refused although the code was a holder's own: the latest of each holder, told on
//! the holder's page, because the till tells it to the merchant alone.

use tallystick_issuer::authorization::Asked;
use tallystick_kernel::{
    Amount, Codec as _, CurrencyCode, DurationMs, Group, HolderId, Reader, Reason, TimeMs, Writer,
};
use tallystick_proofs::payment_code::VerifiedCode;
use tallystick_store::{Batch, Kind};

use super::{App, Issuer, now};

/// The latest refused charge of a holder, by the holder's id.
const REFUSED: Kind = Kind("refused_charge");
/// For how long it is told.
const TOLD_FOR: DurationMs = DurationMs::minutes(10);
const MERCHANT_BYTES_MAX: usize = 256;
const REFUSED_BYTES_MAX: usize = 512;
const VERSION: u64 = 1;

/// A charge that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedCharge {
    /// When.
    pub time: TimeMs,
    /// Who asked, by the name of the key.
    pub asked_by: String,
    /// The currency.
    pub currency: CurrencyCode,
    /// How much.
    pub amount: Amount,
    /// Why.
    pub reason: Reason,
}

/// The feed of a holder's refused charges.
pub fn feed_of(holder: &HolderId) -> Vec<u8> {
    [b"refused/".as_slice(), &holder.0].concat()
}

/// Remembers that a charge with this code was refused, and tells whoever follows its holder. What
/// says nothing about the payment is not told, nor is a code that is no holder's.
pub async fn remember(app: &App, code: &VerifiedCode, asked: &Asked, reason: Reason) {
    if matches!(reason.group(), Group::Environment | Group::Limits) {
        return;
    }
    let Ok(holder) = app.holder_by_token(&code.claims.account_token).await else { return };
    let refused = RefusedCharge {
        time: now(),
        asked_by: asked.by.clone(),
        currency: asked.currency,
        amount: asked.amount,
        reason,
    };
    let written = async {
        let before = app.store.read(REFUSED, &holder.id.0).await?;
        let version = before.map_or(0, |record| record.version);
        let batch = Batch::new().put(REFUSED, holder.id.0, version, write(&refused), &[]);
        app.store.write(batch.event(feed_of(&holder.id), now(), holder.id.0)).await
    };
    match written.await {
        Ok(()) => app.change(),
        // Another one was refused at the same time, and is told.
        Err(Reason::Conflict) => {}
        Err(reason) => tracing::warn!(%reason, "a refused charge could not be remembered"),
    }
}

/// The latest refused charge of a holder, while it is told.
pub async fn latest(app: &Issuer, holder: &HolderId) -> Result<Option<RefusedCharge>, Reason> {
    let Some(record) = app.store.read(REFUSED, &holder.0).await? else { return Ok(None) };
    let refused = read(&record.bytes).map_err(|_| Reason::StorageCorrupt)?;
    Ok((now() <= refused.time.after(TOLD_FOR)).then_some(refused))
}

fn write(refused: &RefusedCharge) -> Vec<u8> {
    let mut out = Writer::new();
    out.array(6).u64(VERSION).value(&refused.time).text(&refused.asked_by);
    out.value(&refused.currency).value(&refused.amount);
    out.u64(u64::from(refused.reason.number()));
    out.finish()
}

fn read(bytes: &[u8]) -> Result<RefusedCharge, Reason> {
    if bytes.len() > REFUSED_BYTES_MAX {
        return Err(Reason::TooLarge);
    }
    let mut input = Reader::new(bytes);
    input.tuple(6)?;
    if input.u64()? != VERSION {
        return Err(Reason::VersionUnknown);
    }
    Ok(RefusedCharge {
        time: TimeMs::decode(&mut input)?,
        asked_by: input.text(MERCHANT_BYTES_MAX)?.to_owned(),
        currency: CurrencyCode::decode(&mut input)?,
        amount: Amount::decode(&mut input)?,
        reason: Reason::from_number(input.u16()?).ok_or(Reason::StorageCorrupt)?,
    })
}

//! Authorizations: from a merchant's request to a hold, a signed settlement and its receipt.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use tallystick_api::issuer::{Authorization as Shown, AuthorizationRequest, WAIT_MAX};
use tallystick_api::node::{CBOR, Reserve};
use tallystick_api::operations::issuer as endpoints;
use tallystick_api::{Page, Problem, trace_context};
use tallystick_issuer::authorization::{
    AUTHORIZATION_BYTES_MAX, Asked, Authorization, Available, Limits, decide,
};
use tallystick_issuer::holder::Holder;
use tallystick_issuer::settlement::{Order, Progress, SETTLEMENT_LIFE, Subject, remittance};
use tallystick_kernel::hash::sha256;
use tallystick_kernel::limits::REPLAY_SLACK;
use tallystick_kernel::{
    Amount, Codec as _, Digest, DurationMs, HolderId, Reason, Reference, Salt, TimeMs, hex,
};
use tallystick_proofs::action::Lock;
use tallystick_proofs::payment_code::{self, Chain, KeyId, Trust, VerifiedCode};
use tallystick_store::{Batch, Record, retry_conflicts};

use super::{App, CONFLICTS_MAX, Issuer, SETTLE, decode, id_of, kinds, now, refused_charges};
use crate::http::gate::Caller;
use crate::http::idempotency::WriteKey;
use crate::http::{CursorQuery, JsonBody, Refusal, Routes, WaitQuery};
use crate::source;
use crate::stored::latest::{self, Slice};

/// Reserves of one holder that are looked at.
const RESERVES_MAX: usize = 1000;

/// How long a spent reserve is remembered: longer than any node lags that still answers.
const SPENT_FOR: DurationMs = DurationMs::minutes(10);
/// Records of spent reserves that one authorization clears away.
const OLD_MAX: usize = 64;

/// The endpoints of authorizations.
pub fn routes(routes: Routes<App>) -> Routes<App> {
    routes
        .add(endpoints::AUTHORIZE, create)
        .add(endpoints::AUTHORIZATIONS, list)
        .add(endpoints::AUTHORIZATION, authorization)
        .add(endpoints::AUTHORIZATION_RECEIPT, receipt)
}

impl Issuer {
    /// An authorization with the version of its record; [`Reason::AuthorizationUnknown`].
    pub async fn authorization(&self, id: &Digest) -> Result<(u64, Authorization), Reason> {
        let found = self.store.read(kinds::AUTHORIZATION, id).await?;
        let record = found.ok_or(Reason::AuthorizationUnknown)?;
        Ok((record.version, decode(&record, AUTHORIZATION_BYTES_MAX)?))
    }

    /// Verifies a code with what is known here: our own root, our own list, our own certificates.
    pub(super) async fn verified(&self, text: &str, at: TimeMs) -> Result<VerifiedCode, Reason> {
        let (key_id, has_chain) = payment_code::peek(text)?;
        let mut known: BTreeMap<KeyId, Chain> = BTreeMap::new();
        if !has_chain {
            known.extend(self.chain_of(&key_id).await?.map(|chain| (key_id, chain)));
        }
        let (_, list) = self.revocation();
        let trust = Trust { anchors: &self.anchors, known: &known, revocation: &[list] };
        payment_code::verify(text, at, trust)
    }

    /// What the ledger shows as locked to us, less what is held or was just spent; and the records
    /// of spent reserves that need not be remembered any longer.
    ///
    /// Holds are read before the ledger: a hold that ends in between is still counted, and one that
    /// begins in between makes the write conflict.
    async fn available(&self, holder: &Holder) -> Result<(Vec<Available>, Vec<Record>), Refusal> {
        let account = holder.require_link()?.account;
        let of_account = |kind| self.store.find(kind, "account", &account.0, None, u32::MAX);
        let (holds, spent) = (of_account(kinds::HOLD).await?, of_account(kinds::SPENT).await?);
        let taken: BTreeSet<Vec<u8>> =
            holds.iter().chain(&spent).map(|record| record.key.clone()).collect();
        let mandate = self.mandate.to_string();
        let reserves = self.nodes.reserves_locked(&mandate, &account, RESERVES_MAX).await?;
        let free = reserves.into_iter().filter(|reserve| !taken.contains(reserve.id.0.as_slice()));
        let is_old = |record: &Record| {
            let time = record.bytes.as_slice().try_into().map_or(0, u64::from_be_bytes);
            now() > TimeMs(time).after(SPENT_FOR)
        };
        let old = spent.into_iter().filter(is_old).take(OLD_MAX).collect();
        Ok((free.map(|reserve| available(self, reserve)).collect(), old))
    }

    /// Decides a payment and stores it with its holds and its signed settlement, in one write.
    async fn authorize(
        &self,
        id: Digest,
        code: &VerifiedCode,
        asked: &Asked,
    ) -> Result<Authorization, Refusal> {
        let holder = self.holder_by_token(&code.claims.account_token).await?;
        let limits = Limits { unbound_max: Amount::new(self.config.unbound_max)? };
        tallystick_issuer::authorization::check(&holder, &code.claims, asked, &limits)?;
        if asked.currency != self.currency {
            let detail = format!("this issuer pays in {}", self.currency);
            return Err(Problem::new(Reason::CurrencyMismatch).detail(detail).into());
        }
        let (available, old) = self.available(&holder).await?;
        let made = decide(id, &holder, &code.claims, asked, &limits, &available, now())?;
        let body = remittance(&made, self.genesis.network(), Salt(source::random()?), now());
        let transaction = body.sign_by(&[&self.mandate_signer()?])?;
        let made = Authorization { progress: Progress::Submitted(transaction.id()), ..made };
        let order = Order { subject: Subject::Authorization(id), transaction: Some(transaction) };
        let remembered = code.claims.expires.after(REPLAY_SLACK);
        let mut batch = Batch::new()
            .once("code", code.claims.code_id, remembered, now(), Reason::CodeReplayed)
            .push(SETTLE, id, now(), order.to_bytes(), trace_context::current())
            .audit(now(), format!("authorized {} for {}", hex::encode(&id), made.amount));
        batch = put_authorization(batch, 0, &made);
        for reserve in &made.reserves {
            let index = [("account", made.account.0.to_vec())];
            batch = batch.put(kinds::HOLD, reserve.0, 0, id, &index);
        }
        for record in old {
            batch = batch.delete(kinds::SPENT, record.key, record.version);
        }
        self.store.write(batch).await?;
        Ok(made)
    }
}

/// Writes an authorization with its index entries, and tells those who follow its holder.
pub fn put_authorization(batch: Batch, version: u64, made: &Authorization) -> Batch {
    let time = made.created.0.to_be_bytes();
    let indexes = [
        ("holder", [made.holder.0.as_slice(), &time].concat()),
        ("key", [asked_by(&made.asked_by).as_slice(), &time].concat()),
    ];
    batch.put(kinds::AUTHORIZATION, made.id, version, made.to_bytes(), &indexes).event(
        feed_of(&made.holder),
        now(),
        made.id,
    )
}

/// The feed of a holder's payments.
pub fn feed_of(holder: &HolderId) -> Vec<u8> {
    [b"holder/".as_slice(), &holder.0].concat()
}

/// A name of any length as the beginning of an index's value.
pub(super) fn asked_by(name: &str) -> Digest {
    sha256(name.as_bytes())
}

fn available(issuer: &Issuer, reserve: Reserve) -> Available {
    // A node lists only what is locked to the key that was asked for.
    let lock = reserve.lock.map(|lock| Lock {
        mandate: issuer.mandate,
        payment_max: lock.payment_max,
        payees: lock.payees,
        unlock_delay: DurationMs(lock.unlock_delay_ms),
    });
    let nothing = Lock {
        mandate: issuer.mandate,
        payment_max: Some(Amount::ZERO),
        payees: Vec::new(),
        unlock_delay: DurationMs(0),
    };
    Available {
        id: reserve.id,
        currency: reserve.currency,
        amount: reserve.amount,
        lock: lock.unwrap_or(nothing),
        expiry: reserve.expiry_ms.map(TimeMs),
        unlock_at: reserve.unlock_at_ms.map(TimeMs),
    }
}

/// An authorization as its merchant sees it.
pub fn shown(made: &Authorization) -> Shown {
    Shown {
        id: hex::encode(&made.id),
        state: super::shown(&made.progress),
        amount: made.amount,
        currency: made.currency,
        transaction: made.progress.transaction(),
        code: made.progress.failure().map(|reason| reason.code().to_owned()),
        expiry_ms: made.created.after(SETTLEMENT_LIFE).0,
    }
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Extension(key): Extension<WriteKey>,
    JsonBody(body): JsonBody<AuthorizationRequest>,
) -> Result<Json<Shown>, Refusal> {
    let id = id_of(&key)?;
    if let Ok((_, made)) = app.authorization(&id).await {
        return Ok(Json(shown(&made)));
    }
    let reference: Reference =
        body.reference.parse().map_err(|reason| Problem::new(reason).field("reference"))?;
    let asked = Asked {
        by: caller.key_name.unwrap_or_default(),
        payee: body.payee,
        currency: body.currency,
        amount: body.amount,
        reference,
    };
    let code = app.verified(&body.code, now()).await?;
    // A refusal may carry more than a reason, so conflicts are told apart from it here.
    let made = retry_conflicts(CONFLICTS_MAX, || async {
        match app.authorize(id, &code, &asked).await {
            Err(refusal) if refusal.reason() == Reason::Conflict => Err(Reason::Conflict),
            other => Ok(other),
        }
    });
    let made = match made.await? {
        Ok(made) => made,
        Err(refusal) => {
            refused_charges::remember(&app, &code, &asked, refusal.reason()).await;
            return Err(refusal);
        }
    };
    app.change();
    Ok(Json(shown(&made)))
}

async fn authorization(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    wait: WaitQuery,
) -> Result<Json<Shown>, Refusal> {
    let id = read_id(&id)?;
    let by = caller.key_name.unwrap_or_default();
    let found = until_ended(&app, wait.duration(WAIT_MAX), || async {
        let (_, made) = app.authorization(&id).await?;
        if made.asked_by != by {
            return Err(Reason::AuthorizationUnknown);
        }
        Ok((made.progress.has_ended(), made))
    });
    Ok(Json(shown(&found.await?)))
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    cursor: CursorQuery,
) -> Result<Json<Page<Shown>>, Refusal> {
    let slice = Slice::page(latest::place(&cursor)?);
    let by = asked_by(caller.require_key()?);
    let found = latest::read(&app.store, kinds::AUTHORIZATION, "key", &by, &slice).await?;
    let show = |record: &Record| decode(record, AUTHORIZATION_BYTES_MAX).map(|one| shown(&one));
    Ok(Json(latest::page(found, &slice, show)?))
}

async fn receipt(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let (_, made) = app.authorization(&read_id(&id)?).await?;
    let Progress::Settled(transaction) = made.progress else {
        return Err(Reason::NotFound.into());
    };
    if Some(&made.asked_by) != caller.key_name.as_ref() {
        return Err(Reason::AuthorizationUnknown.into());
    }
    let found = app.store.read(kinds::RECEIPT, &transaction.0).await?.ok_or(Reason::NotFound)?;
    Ok(([(CONTENT_TYPE, CBOR)], found.bytes).into_response())
}

fn read_id(text: &str) -> Result<Digest, Refusal> {
    let id = hex::decode(text).ok().and_then(|id| id.try_into().ok());
    id.ok_or_else(|| Problem::new(Reason::HexMalformed).field("id").into())
}

/// Looks again whenever something changes, until what is looked at has ended or `wait` is over.
pub async fn until_ended<T, F: Future<Output = Result<(bool, T), Reason>>>(
    app: &App,
    wait: DurationMs,
    look: impl Fn() -> F,
) -> Result<T, Reason> {
    let deadline = tokio::time::Instant::now() + Duration::from_millis(wait.0);
    let mut changed = app.changed.subscribe();
    loop {
        changed.mark_unchanged();
        let (ended, found) = look().await?;
        if ended || tokio::time::timeout_at(deadline, changed.changed()).await.is_err() {
            return Ok(found);
        }
    }
}

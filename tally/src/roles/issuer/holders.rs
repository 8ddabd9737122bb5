//! Holders at the issuer: making them, logging in, linking a ledger account.

use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use tallystick_api::issuer::{
    Holder as Shown, HolderRequest, LinkRequest, Session, SessionRequest,
};
use tallystick_api::operations::issuer as endpoints;
use tallystick_api::{Page, Problem};
use tallystick_crypto::{PublicKey, Signature};
use tallystick_issuer::holder::{
    HOLDER_BYTES_MAX, Holder, NAME_BYTES_MAX, PASSWORD_BYTES, check_password, is_name,
};
use tallystick_kernel::hash::sha256;
use tallystick_kernel::{Codec as _, HolderId, Reason, TimeMs};
use tallystick_proofs::owners::Owners;
use tallystick_store::{Batch, Record, retry_conflicts};
use zeroize::Zeroizing;

use super::{App, CONFLICTS_MAX, Issuer, decode, id_of, kinds, now};
use crate::data_folder::read_bounded;
use crate::failure::Failure;
use crate::http::gate::{Caller, Subject};
use crate::http::idempotency::WriteKey;
use crate::http::page::{PAGE_MAX, page};
use crate::http::{CursorQuery, JsonBody, Refusal, Routes};
use crate::source;

/// The endpoints of holders.
pub fn routes(routes: Routes<App>) -> Routes<App> {
    routes
        .add(endpoints::CREATE_HOLDER, create)
        .add(endpoints::HOLDERS, list)
        .add(endpoints::BEGIN_SESSION, begin_session)
        .add(endpoints::ME, me)
        .add(endpoints::LINK_ACCOUNT, link)
}

impl Issuer {
    /// A holder by id, with the version of the record.
    pub async fn holder(&self, id: &HolderId) -> Result<(u64, Holder), Reason> {
        let record = self.store.read(kinds::HOLDER, &id.0).await?.ok_or(Reason::HolderUnknown)?;
        read(&record)
    }

    /// A holder by login name; [`Reason::HolderUnknown`].
    pub async fn holder_by_name(&self, name: &str) -> Result<(u64, Holder), Reason> {
        let found = self.store.find(kinds::HOLDER, "name", name.as_bytes(), None, 1).await?;
        read(found.first().ok_or(Reason::HolderUnknown)?)
    }

    /// The holder behind an account token; [`Reason::TokenUnknown`].
    pub async fn holder_by_token(&self, token: &str) -> Result<Holder, Reason> {
        let found = self.store.find(kinds::HOLDER, "token", token.as_bytes(), None, 1).await?;
        read(found.first().ok_or(Reason::TokenUnknown)?).map(|(_, holder)| holder)
    }

    async fn create_holder(
        &self,
        id: HolderId,
        name: String,
        password: Zeroizing<String>,
    ) -> Result<Holder, Reason> {
        if let Ok((_, holder)) = self.holder(&id).await {
            return Ok(holder);
        }
        let salt = source::random()?;
        let made = tokio::task::spawn_blocking(move || Holder::new(id, &name, &password, &salt));
        let holder = made.await.map_err(|_| Reason::Internal)??;
        let batch = Batch::new()
            .put(kinds::HOLDER_NAME, holder.name.as_bytes(), 0, id.0, &[])
            .put(kinds::HOLDER, id.0, 0, holder.to_bytes(), &indexes(&holder))
            .audit(now(), format!("holder made {id}"));
        match self.store.write(batch).await {
            Err(Reason::Conflict) => Err(Reason::HolderExists),
            other => other.map(|()| holder),
        }
    }
}

/// A holder's record.
pub(super) fn read(record: &Record) -> Result<(u64, Holder), Reason> {
    Ok((record.version, decode(record, HOLDER_BYTES_MAX)?))
}

/// The index entries of a holder.
fn indexes(holder: &Holder) -> Vec<(&'static str, Vec<u8>)> {
    let mut indexes = vec![("name", holder.name.as_bytes().to_vec())];
    if let Some(link) = &holder.link {
        indexes.push(("token", link.token.as_bytes().to_vec()));
    }
    indexes
}

fn shown(holder: &Holder) -> Shown {
    Shown {
        id: holder.id,
        name: holder.name.clone(),
        account: holder.link.as_ref().map(|link| link.account),
        account_token: holder.link.as_ref().map(|link| link.token.clone()),
    }
}

async fn create(
    State(app): State<App>,
    Extension(key): Extension<WriteKey>,
    JsonBody(body): JsonBody<HolderRequest>,
) -> Result<Json<Shown>, Refusal> {
    let id = HolderId(id_of(&key)?);
    require_form(&body)?;
    let holder = app.create_holder(id, body.name, Zeroizing::new(body.password)).await?;
    Ok(Json(shown(&holder)))
}

/// Says which rule a new holder's name or password breaks.
fn require_form(body: &HolderRequest) -> Result<(), Refusal> {
    let broken = |field: &str, rule: String| {
        let problem = Problem::new(Reason::FieldInvalid).field(field).detail(rule);
        Err(Refusal::from(problem.way_out(format!("choose another {field}"))))
    };
    if !is_name(&body.name) {
        let rule = format!("a name has 1 to {NAME_BYTES_MAX} bytes, and no spaces");
        return broken("name", rule);
    }
    if !PASSWORD_BYTES.contains(&body.password.len()) {
        let (least, most) = (PASSWORD_BYTES.start(), PASSWORD_BYTES.end());
        return broken("password", format!("a password has {least} to {most} bytes"));
    }
    Ok(())
}

async fn list(State(app): State<App>, cursor: CursorQuery) -> Result<Json<Page<Shown>>, Refusal> {
    let after = cursor.array::<32>()?;
    let after = after.as_ref().map(<[u8; 32]>::as_slice);
    let found = app.store.list(kinds::HOLDER, after, PAGE_MAX as u32 + 1).await?;
    let show = |record: Record| read(&record).map(|(_, holder)| shown(&holder));
    Ok(Json(page(found, PAGE_MAX, |record| record.key.clone(), show)?))
}

async fn begin_session(
    State(app): State<App>,
    JsonBody(body): JsonBody<SessionRequest>,
) -> Result<Json<Session>, Refusal> {
    let (holder, token, expiry) = log_in(&app, body.name, body.password).await?;
    Ok(Json(Session { token: token.to_string(), expiry_ms: expiry.0, holder }))
}

/// Checks a name and a password and begins a session: the holder, the token, its end.
///
/// Returns [`Reason::LoginWrong`], or [`Reason::RateLimited`] after too many wrong ones.
pub async fn log_in(
    app: &App,
    name: String,
    password: String,
) -> Result<(HolderId, Zeroizing<String>, TimeMs), Refusal> {
    let password = Zeroizing::new(password);
    // A digest, so that long names cost no memory.
    let of_name = sha256(name.as_bytes());
    app.logins.count(of_name, now()).check()?;
    let found = app.holder_by_name(&name).await;
    let (id, stored) = match found {
        Ok((_, holder)) => (Some(holder.id), holder.password_hash),
        Err(Reason::HolderUnknown) => (None, NOBODY.to_owned()),
        Err(reason) => return Err(reason.into()),
    };
    // A password costs much memory for a moment: few are looked at, and few wait, at once.
    let _place = app.passwords_waiting.try_acquire().map_err(|_| Reason::RateLimited)?;
    let turn = Arc::clone(&app.passwords).acquire_owned().await.map_err(|_| Reason::NotReady)?;
    let checked = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        check_password(&stored, &password)
    });
    checked.await.map_err(|_| Reason::Internal)??;
    let holder = id.ok_or(Reason::LoginWrong)?;
    app.logins.forgive(&of_name);
    let (token, expiry) = app.sessions.begin(&Subject::Holder(holder), now()).await?;
    Ok((holder, token, expiry))
}

async fn me(State(app): State<App>, caller: Caller) -> Result<Json<Shown>, Refusal> {
    let (_, holder) = app.holder(&caller.require_holder()?).await?;
    Ok(Json(shown(&holder)))
}

async fn link(
    State(app): State<App>,
    caller: Caller,
    JsonBody(body): JsonBody<LinkRequest>,
) -> Result<Json<Shown>, Refusal> {
    let id = caller.require_holder()?;
    let key: PublicKey = body.key.parse().map_err(|reason| Problem::new(reason).field("key"))?;
    let signature: Signature = Signature::from_bytes(&body.signature.0, 128)
        .map_err(|reason| Problem::new(reason).field("signature"))?;
    let owners = owners(&app.nodes.account(&body.account).await?)?;
    let token = source::random()?;
    let linked = retry_conflicts(CONFLICTS_MAX, || async {
        let (version, holder) = app.holder(&id).await?;
        let network = app.genesis.network();
        let linked = holder.link(&network, body.account, &owners, &key, &signature, token)?;
        if linked != holder {
            let batch = Batch::new()
                .put(kinds::HOLDER, id.0, version, linked.to_bytes(), &indexes(&linked))
                .audit(now(), format!("holder {id} linked {}", body.account));
            app.store.write(batch).await?;
        }
        Ok(linked)
    })
    .await?;
    app.hasten_fundings(&id).await?;
    Ok(Json(shown(&linked)))
}

/// The owners of an account as a node shows it.
fn owners(account: &tallystick_api::node::Account) -> Result<Owners, Reason> {
    let keys = account.keys.iter().map(|key| key.parse());
    let threshold = u16::try_from(account.threshold).map_err(|_| Reason::AnswerMalformed)?;
    Ok(Owners { threshold, keys: keys.collect::<Result<_, Reason>>()? })
}

/// Makes the demonstration's holder where there is none, with the password of a file.
pub async fn ensure_demo(app: &Arc<Issuer>, password: &Path) -> Result<(), Failure> {
    if app.holder_by_name(super::config::DEMO_HOLDER).await.is_ok() {
        return Ok(());
    }
    let text = read_bounded(password, 512)?;
    let text = core::str::from_utf8(&text).map_err(|_| Reason::StorageCorrupt)?;
    let password = Zeroizing::new(text.trim().to_owned());
    let id = HolderId(source::random()?);
    app.create_holder(id, super::config::DEMO_HOLDER.to_owned(), password).await?;
    Ok(())
}

/// The hash of a password that nobody has, so that unknown names take as long as known ones.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

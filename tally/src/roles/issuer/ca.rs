//! The issuer's certificate authority over HTTP: certificates, the revocation list, the mandate.

use std::sync::PoisonError;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use tallystick_api::issuer::{CertificateChain, CertificateRequest, Empty, Mandate};
use tallystick_api::operations::issuer as endpoints;
use tallystick_api::{Bytes, Problem};
use tallystick_crypto::key_store::{KeyPurpose, StoredSigner};
use tallystick_crypto::standard_signature::{Curve, StandardKey};
use tallystick_crypto::{PublicKey, SoftwareKeyStore};
use tallystick_issuer::certificate_authority::{
    self as authority, CERTIFICATE_RECORD_BYTES_MAX, DeviceCertificate, REVOCATION_LIST_EARLY,
    REVOCATION_LIST_LIFE,
};
use tallystick_issuer::device_code::certifiable;
use tallystick_kernel::limits::REPLAY_SLACK;
use tallystick_kernel::{Codec as _, HolderId, Reason, TimeMs, hex};
use tallystick_proofs::payment_code::{Chain, KeyId};
use tallystick_proofs::revocation_list::RevocationList;
use tallystick_proofs::x509_certificate::X509Certificate;
use tallystick_store::{Batch, Store, retry_conflicts};

use super::config::CA_KEY;
use super::{App, CONFLICTS_MAX, Issuer, decode, kinds, now};
use crate::http::gate::Caller;
use crate::http::{JsonBody, Refusal, Routes};
use crate::source;

/// The endpoints of the certificate authority.
pub fn routes(routes: Routes<App>) -> Routes<App> {
    routes
        .add(endpoints::CERTIFICATE_AUTHORITY, ca)
        .add(endpoints::REVOCATION_LIST, crl)
        .add(endpoints::MANDATE, mandate)
        .add(endpoints::CERTIFY, certify)
        .add(endpoints::REVOKE, revoke)
}

impl Issuer {
    /// Certifies a key of a holder's device, without storing it; `device` is its kind, for people.
    pub(super) fn certificate(
        &self,
        token: &str,
        key: &PublicKey,
        holder: HolderId,
        device: &str,
    ) -> Result<DeviceCertificate, Reason> {
        let (serial, signer) = (source::random()?, self.ca_signer()?);
        let made = authority::device(token, key, holder, &self.root, serial, now(), &signer)?;
        Ok(DeviceCertificate { device: device.to_owned(), ..made })
    }

    /// The chain of a device's key that was certified here.
    pub async fn chain_of(&self, key_id: &KeyId) -> Result<Option<Chain>, Reason> {
        let found = self.store.find(kinds::CERTIFICATE, "key", &key_id.0, None, 16).await?;
        let read = |record| decode::<DeviceCertificate>(record, CERTIFICATE_RECORD_BYTES_MAX);
        let made = found.iter().map(read).collect::<Result<Vec<_>, Reason>>()?;
        // Of several certificates of one key the one that ends last counts.
        let end =
            |made: &DeviceCertificate| X509Certificate::read(&made.der).map(|c| c.not_after());
        let latest = made.into_iter().max_by_key(|made| end(made).unwrap_or_default());
        Ok(latest.map(|made| vec![made.der]))
    }
}

/// The root certificate, made at the first start.
pub async fn root(
    store: &Store,
    keys: &SoftwareKeyStore,
    at: TimeMs,
) -> Result<X509Certificate, Reason> {
    if let Some(record) = store.read(kinds::AUTHORITY, b"root").await? {
        return X509Certificate::read(&record.bytes);
    }
    let der = {
        let signer = StoredSigner::new(keys, CA_KEY, KeyPurpose::CertificateAuthority)?;
        authority::root("Tallystick issuer root", source::random()?, at, &signer)?
    };
    store.write(Batch::new().put(kinds::AUTHORITY, *b"root", 0, der.clone(), &[])).await?;
    X509Certificate::read(&der)
}

/// Makes the list of all certificates that are revoked now.
pub async fn revocation_list(
    store: &Store,
    keys: &SoftwareKeyStore,
    root: &X509Certificate,
    at: TimeMs,
) -> Result<(Vec<u8>, RevocationList), Reason> {
    let mut revoked = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = store.find(kinds::CERTIFICATE, "revoked", b"1", after.as_deref(), 1000).await?;
        for record in &page {
            let made: DeviceCertificate = decode(record, CERTIFICATE_RECORD_BYTES_MAX)?;
            revoked.push((made.serial, made.revoked.unwrap_or(at)));
        }
        match page.last() {
            Some(last) => after = Some(last.key.clone()),
            None => break,
        }
    }
    let signer = StoredSigner::new(keys, CA_KEY, KeyPurpose::CertificateAuthority)?;
    let der = authority::revocation_list(root, &revoked, at, &signer)?;
    let list = RevocationList::read(&der)?;
    Ok((der, list))
}

async fn renew(app: &Issuer) -> Result<(), Reason> {
    let made = revocation_list(&app.store, &app.keys, &app.root, now()).await?;
    *app.revocation.write().unwrap_or_else(PoisonError::into_inner) = made;
    Ok(())
}

/// Makes the revocation list anew before it is stale, and sweeps what is not remembered any longer.
pub async fn keep_current(app: App) {
    let period = Duration::from_millis(REVOCATION_LIST_LIFE.0 - REVOCATION_LIST_EARLY.0);
    loop {
        for done in [app.store.sweep(now()).await.map(|_| ()), app.sessions.sweep(now()).await] {
            if let Err(reason) = done {
                tracing::warn!(%reason, "what has expired could not be swept");
            }
        }
        tokio::time::sleep(period).await;
        if let Err(reason) = renew(&app).await {
            tracing::error!(%reason, "the revocation list could not be made");
        }
    }
}

async fn ca(State(app): State<App>) -> Json<CertificateChain> {
    let certificates = vec![Bytes(app.root.der().to_vec())];
    Json(CertificateChain { certificates, expiry_ms: app.root.not_after().0 })
}

async fn crl(State(app): State<App>) -> Response {
    ([(CONTENT_TYPE, "application/pkix-crl")], app.revocation().0).into_response()
}

async fn mandate(State(app): State<App>) -> Json<Mandate> {
    let unlock_delay_ms = app.config.unlock_delay_ms;
    Json(Mandate { key: app.mandate.to_string(), unlock_delay_ms })
}

async fn certify(
    State(app): State<App>,
    caller: Caller,
    JsonBody(body): JsonBody<CertificateRequest>,
) -> Result<Json<CertificateChain>, Refusal> {
    let (_, holder) = app.holder(&caller.require_holder()?).await?;
    let point = caller.require_device()?.public_point;
    let proven = StandardKey::new(Curve::P256, &point)?.to_public_key()?;
    let (request, credential) = (&body.request.0, &body.credential.0);
    let shown = certifiable(request, credential, &proven, &holder, &app.provisioner, now())?;
    let token = &holder.require_link()?.token;
    let made = app.certificate(token, &proven, holder.id, "wallet")?;
    let until = shown.expires.after(REPLAY_SLACK).after(tallystick_kernel::DurationMs::seconds(60));
    let index = [("key", KeyId::of(&proven)?.0.to_vec())];
    let batch = Batch::new()
        .once("credential", shown.id, until, now(), Reason::RequestUsed)
        .put(kinds::CERTIFICATE, made.serial.clone(), 0, made.to_bytes(), &index)
        .audit(now(), format!("certified {} of {}", hex::encode(&made.serial), holder.id));
    app.store.write(batch).await?;
    let expiry_ms = X509Certificate::read(&made.der)?.not_after().0;
    let certificates = vec![Bytes(made.der), Bytes(app.root.der().to_vec())];
    Ok(Json(CertificateChain { certificates, expiry_ms }))
}

async fn revoke(
    State(app): State<App>,
    Path(serial): Path<String>,
) -> Result<Json<Empty>, Refusal> {
    let serial = hex::decode(&serial).map_err(|reason| Problem::new(reason).field("serial"))?;
    revoke_serial(&app, &serial).await?;
    Ok(Json(Empty {}))
}

/// Revokes a certificate for good, and makes the revocation list anew.
pub async fn revoke_serial(app: &Issuer, serial: &[u8]) -> Result<(), Reason> {
    retry_conflicts(CONFLICTS_MAX, || async {
        let found = app.store.read(kinds::CERTIFICATE, serial).await?;
        let record = found.ok_or(Reason::NotFound)?;
        let made: DeviceCertificate = decode(&record, CERTIFICATE_RECORD_BYTES_MAX)?;
        if made.revoked.is_some() {
            return Ok(());
        }
        let key = X509Certificate::read(&made.der)?.key().to_public_key()?;
        let indexes = [("key", KeyId::of(&key)?.0.to_vec()), ("revoked", b"1".to_vec())];
        let revoked = DeviceCertificate { revoked: Some(now()), ..made };
        let batch = Batch::new()
            .put(kinds::CERTIFICATE, serial, record.version, revoked.to_bytes(), &indexes)
            .audit(now(), format!("revoked {}", hex::encode(serial)));
        app.store.write(batch).await
    })
    .await?;
    renew(app).await
}

//! The endpoints of an issuer.

use serde::{Deserialize, Serialize};
use tallystick_kernel::{AccountId, Amount, CurrencyCode, DurationMs, HolderId, TransactionId};
use utoipa::ToSchema;

use crate::client::{Client, Repeat};
use crate::error::ApiError;
use crate::json::{self, Bytes, Page};
use crate::text_schema;

/// The longest wait that `wait=` grants.
pub const WAIT_MAX: DurationMs = DurationMs::seconds(60);

/// `POST /v1/holders` (operator).
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HolderRequest {
    /// The login name, 1 to 64 characters.
    pub name: String,
    /// The first password, 8 to 256 bytes. Never logged.
    pub password: String,
}

/// A holder as the issuer shows it: `POST /v1/holders`, `GET /v1/holders/me`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Holder {
    /// Random; says nothing about the person.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::HolderIdText)]
    pub id: HolderId,
    /// The login name.
    pub name: String,
    /// The linked ledger account.
    #[serde(with = "json::text_option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<text_schema::AccountIdText>)]
    pub account: Option<AccountId>,
    /// The token that stands for the account in codes and certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_token: Option<String>,
}

/// `POST /v1/sessions`: login.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionRequest {
    /// The login name.
    pub name: String,
    /// The password. Never logged.
    pub password: String,
}

/// A session.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// The token to show; a secret.
    pub token: String,
    /// From when on it is refused.
    pub expiry_ms: u64,
    /// The holder.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::HolderIdText)]
    pub holder: HolderId,
}

/// `POST /v1/holders/me/account` (session): links the holder's ledger account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkRequest {
    /// The account.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::AccountIdText)]
    pub account: AccountId,
    /// The account's public key (`tlyk1...`).
    pub key: String,
    /// Its signature over the link's message, canonically encoded: proof that the holder controls
    /// the account.
    pub signature: Bytes,
}

/// `POST /v1/fundings` (operator): mints to a holder's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FundingRequest {
    /// The holder's login name; either this or `account`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// The account to credit.
    #[serde(with = "json::text_option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<text_schema::AccountIdText>)]
    pub account: Option<AccountId>,
    /// The currency.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::CurrencyCodeText)]
    pub currency: CurrencyCode,
    /// How much, in minor units.
    #[serde(with = "json::amount")]
    #[schema(value_type = text_schema::MinorUnitsText)]
    pub amount: Amount,
}

/// How far something that ends on the ledger has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Decided here, not on its way yet.
    Accepted,
    /// Sent to the ledger.
    Submitted,
    /// Final and successful; there is a receipt.
    Settled,
    /// Final and failed, or expired; `code` says why.
    Failed,
}

/// A funding: `POST /v1/fundings`, `GET /v1/fundings/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Funding {
    /// Its id at the issuer.
    pub id: String,
    /// How far it is.
    pub state: Progress,
    /// The ledger transaction.
    #[serde(with = "json::text_option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<text_schema::TransactionIdText>)]
    pub transaction: Option<TransactionId>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How much, in minor units.
    #[serde(with = "json::amount")]
    #[schema(value_type = text_schema::MinorUnitsText)]
    pub amount: Amount,
    /// The currency.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::CurrencyCodeText)]
    pub currency: CurrencyCode,
    /// When it was asked for.
    pub created_ms: u64,
}

/// What the holder decides about a device's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The device may have the credential.
    Approve,
    /// It may not.
    Deny,
}

/// `POST /v1/device-authorizations` (session).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceAuthorizationRequest {
    /// The request text that the wallet shows: device code and all that the issuer must know.
    pub request: String,
    /// The holder's decision; without one the issuer only says what the request is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
}

/// What the request is about and, once decided, the code to carry to the wallet.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct DeviceAuthorization {
    /// The device, as its holder would recognise it.
    pub device: String,
    /// The account that the credential is for, shortened.
    pub account: String,
    /// The authorization code with its check character; a secret for a few minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_code: Option<String>,
    /// Until when the code serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_ms: Option<u64>,
}

/// `POST /v1/certificates` (session and DPoP).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateRequest {
    /// A PKCS#10 certificate request (DER) signed by the device key.
    pub request: Bytes,
    /// The credential that the provisioner released to this device, opened.
    pub credential: Bytes,
}

/// `GET /v1/ca` and the answer to a certificate request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateChain {
    /// DER certificates, the end entity first, the root last.
    pub certificates: Vec<Bytes>,
    /// Until when the first is valid.
    pub expiry_ms: u64,
}

/// `GET /v1/mandate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Mandate {
    /// The key to lock reserves to (`tlyk1...`).
    pub key: String,
    /// The delay that the issuer asks for in the lock.
    pub unlock_delay_ms: u64,
}

/// `POST /v1/authorizations` (merchant).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationRequest {
    /// The payment code as it was read.
    pub code: String,
    /// The merchant's account.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::AccountIdText)]
    pub payee: AccountId,
    /// The currency.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::CurrencyCodeText)]
    pub currency: CurrencyCode,
    /// How much, in minor units.
    #[serde(with = "json::amount")]
    #[schema(value_type = text_schema::MinorUnitsText)]
    pub amount: Amount,
    /// By what the merchant finds the order: 32 bytes, bech32m.
    pub reference: String,
}

/// An authorization: `POST /v1/authorizations`, `GET /v1/authorizations/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Authorization {
    /// Its id at the issuer.
    pub id: String,
    /// How far its settlement is.
    pub state: Progress,
    /// The amount, in minor units.
    #[serde(with = "json::amount")]
    #[schema(value_type = text_schema::MinorUnitsText)]
    pub amount: Amount,
    /// The currency.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::CurrencyCodeText)]
    pub currency: CurrencyCode,
    /// The remittance.
    #[serde(with = "json::text_option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<text_schema::TransactionIdText>)]
    pub transaction: Option<TransactionId>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Until when the hold lasts if it does not settle.
    pub expiry_ms: u64,
}

/// A payment of a holder: an entry of `GET /v1/holders/me/payments`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Payment {
    /// The authorization.
    pub authorization: Authorization,
    /// Who was paid.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::AccountIdText)]
    pub payee: AccountId,
    /// When it was authorised.
    pub created_ms: u64,
}

/// An entry of the audit chain: `GET /v1/audit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Its place, from 1.
    pub sequence: u64,
    /// When it happened.
    pub time_ms: u64,
    /// What happened; never a secret.
    pub event: String,
    /// Binds it to the entry before it, hexadecimal.
    pub hash: String,
}

/// Nothing: the body of a write that needs none, and its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Empty {}

/// A client of an issuer.
#[derive(Clone)]
pub struct IssuerClient(pub Client);

impl IssuerClient {
    /// Makes a holder; needs the scope `holders`.
    pub async fn create_holder(&self, body: &HolderRequest, key: &str) -> Result<Holder, ApiError> {
        self.0.post("/v1/holders", body, Repeat::Key(key)).await
    }

    /// Logs in.
    pub async fn login(&self, body: &SessionRequest) -> Result<Session, ApiError> {
        self.0.post("/v1/sessions", body, Repeat::Never).await
    }

    /// The holder who is logged in.
    pub async fn me(&self) -> Result<Holder, ApiError> {
        self.0.get("/v1/holders/me").await
    }

    /// A page of the payments that were authorised for the holder, the latest first; `cursor` is
    /// [`Page::next`] of the page before.
    pub async fn payments(&self, cursor: Option<&str>) -> Result<Page<Payment>, ApiError> {
        let query = cursor.map(|cursor| format!("?cursor={cursor}")).unwrap_or_default();
        self.0.get(&format!("/v1/holders/me/payments{query}")).await
    }

    /// Links the holder's account.
    pub async fn link(&self, body: &LinkRequest, key: &str) -> Result<Holder, ApiError> {
        self.0.post("/v1/holders/me/account", body, Repeat::Key(key)).await
    }

    /// Funds an account; needs the scope `fundings`.
    pub async fn fund(&self, body: &FundingRequest, key: &str) -> Result<Funding, ApiError> {
        self.0.post("/v1/fundings", body, Repeat::Key(key)).await
    }

    /// How far a funding is; waits up to `wait` for its end.
    pub async fn funding(&self, id: &str, wait: DurationMs) -> Result<Funding, ApiError> {
        self.0.get_waiting(&waiting("fundings", id, wait), wait).await
    }

    /// Shows or decides a device's request. Never sent twice: each answer is a new code.
    pub async fn authorize_device(
        &self,
        body: &DeviceAuthorizationRequest,
    ) -> Result<DeviceAuthorization, ApiError> {
        self.0.post("/v1/device-authorizations", body, Repeat::Never).await
    }

    /// Has the device key certified.
    pub async fn certify(
        &self,
        body: &CertificateRequest,
        key: &str,
    ) -> Result<CertificateChain, ApiError> {
        self.0.post("/v1/certificates", body, Repeat::Key(key)).await
    }

    /// The issuer's CA certificates.
    pub async fn ca(&self) -> Result<CertificateChain, ApiError> {
        self.0.get("/v1/ca").await
    }

    /// The revocation list (DER, RFC 5280 section 5).
    pub async fn crl(&self) -> Result<Vec<u8>, ApiError> {
        self.0.get_bytes("/v1/crl", "application/pkix-crl").await
    }

    /// The mandate key to lock reserves to.
    pub async fn mandate(&self) -> Result<Mandate, ApiError> {
        self.0.get("/v1/mandate").await
    }

    /// Asks for a payment; needs the scope `authorizations`.
    pub async fn authorize(
        &self,
        body: &AuthorizationRequest,
        key: &str,
    ) -> Result<Authorization, ApiError> {
        self.0.post("/v1/authorizations", body, Repeat::Key(key)).await
    }

    /// How far an authorization is; waits up to `wait` for its end.
    pub async fn authorization(
        &self,
        id: &str,
        wait: DurationMs,
    ) -> Result<Authorization, ApiError> {
        self.0.get_waiting(&waiting("authorizations", id, wait), wait).await
    }

    /// The receipt of a settled authorization. The caller MUST verify it.
    pub async fn receipt(&self, id: &str) -> Result<Vec<u8>, ApiError> {
        let path = format!("/v1/authorizations/{id}/receipt");
        self.0.get_bytes(&path, crate::node::CBOR).await
    }

    /// Revokes a certificate by its serial number (hexadecimal); needs the scope `certificates`.
    pub async fn revoke(&self, serial: &str, key: &str) -> Result<Empty, ApiError> {
        let path = format!("/v1/certificates/{serial}/revoke");
        self.0.post(&path, &Empty {}, Repeat::Key(key)).await
    }
}

fn waiting(collection: &str, id: &str, wait: DurationMs) -> String {
    format!("/v1/{collection}/{id}?wait=final&timeout_ms={}", wait.min(WAIT_MAX).0)
}

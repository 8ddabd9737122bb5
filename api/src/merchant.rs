//! The endpoints of a merchant.

use serde::{Deserialize, Serialize};
use tallystick_kernel::{AccountId, Amount, CurrencyCode, DurationMs, TransactionId};
use utoipa::ToSchema;

use crate::client::{Client, Repeat};
use crate::error::ApiError;
use crate::issuer::Progress;
use crate::json::{self, Page};
use crate::text_schema;

/// The longest wait that `wait=` grants.
pub const WAIT_MAX: DurationMs = DurationMs::seconds(60);

/// `GET /v1/merchant`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Merchant {
    /// The name on the till's display.
    pub name: String,
    /// The account that is paid.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::AccountIdText)]
    pub account: AccountId,
}

/// `POST /v1/charges` (till).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChargeRequest {
    /// The payment code as the till read it.
    #[schema(max_length = 12_000)]
    pub code: String,
    /// The currency.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::CurrencyCodeText)]
    pub currency: CurrencyCode,
    /// How much, in minor units.
    #[serde(with = "json::amount")]
    #[schema(value_type = text_schema::MinorUnitsText)]
    pub amount: Amount,
    /// The merchant's own order or invoice text, at most 256 bytes; only a salted hash of it leaves
    /// the merchant.
    #[schema(max_length = 256)]
    pub order: String,
}

/// A charge: `POST /v1/charges`, `GET /v1/charges/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Charge {
    /// Its id at the merchant.
    pub id: String,
    /// How far it is.
    pub state: Progress,
    /// The order it is for.
    pub order: String,
    /// The amount, in minor units.
    #[serde(with = "json::amount")]
    #[schema(value_type = text_schema::MinorUnitsText)]
    pub amount: Amount,
    /// The currency.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::CurrencyCodeText)]
    pub currency: CurrencyCode,
    /// The reference on the ledger.
    pub reference: String,
    /// The remittance that pays it.
    #[serde(with = "json::text_option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<text_schema::TransactionIdText>)]
    pub transaction: Option<TransactionId>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// When it was made.
    pub created_ms: u64,
}

/// A client of a merchant.
#[derive(Clone)]
pub struct MerchantClient(pub Client);

impl MerchantClient {
    /// Who is paid here.
    pub async fn merchant(&self) -> Result<Merchant, ApiError> {
        self.0.get("/v1/merchant").await
    }

    /// Charges the holder of a payment code; needs the scope `charges`.
    pub async fn charge(&self, body: &ChargeRequest, key: &str) -> Result<Charge, ApiError> {
        self.0.post("/v1/charges", body, Repeat::Key(key)).await
    }

    /// How far a charge is; waits up to `wait` for its end.
    pub async fn charge_status(&self, id: &str, wait: DurationMs) -> Result<Charge, ApiError> {
        let wait = wait.min(WAIT_MAX);
        let path = format!("/v1/charges/{id}?wait=final&timeout_ms={}", wait.0);
        self.0.get_waiting(&path, wait).await
    }

    /// A page of charges, the latest first; `cursor` is [`Page::next`] of the page before.
    pub async fn charges(&self, cursor: Option<&str>) -> Result<Page<Charge>, ApiError> {
        let query = cursor.map(|cursor| format!("?cursor={cursor}")).unwrap_or_default();
        self.0.get(&format!("/v1/charges{query}")).await
    }

    /// The receipt of a settled charge. The caller MUST verify it.
    pub async fn receipt(&self, id: &str) -> Result<Vec<u8>, ApiError> {
        let path = format!("/v1/charges/{id}/receipt");
        self.0.get_bytes(&path, crate::node::CBOR).await
    }
}

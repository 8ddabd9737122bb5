//! The endpoints of a provisioner.

use serde::{Deserialize, Serialize};
use tallystick_kernel::AccountId;
use utoipa::ToSchema;

use crate::client::{Client, Repeat};
use crate::error::ApiError;
use crate::json::{self, Bytes};
use crate::text_schema;

/// `POST /v1/provisioning-requests` (DPoP by the device key).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProvisioningRequest {
    /// The account that the credential is for.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::AccountIdText)]
    pub account: AccountId,
    /// What kind of identifier the device has: `phone`, `imei` or `secure_element`.
    pub device_kind: String,
    /// A keyed digest of the identifier, bound to `nonce`; never the identifier itself.
    pub device_digest: Bytes,
    /// Random, 16 bytes, chosen by the wallet.
    pub nonce: Bytes,
    /// The HPKE public key that the credential is sealed to.
    pub sealing_key: Bytes,
    /// A name for people, such as `Ada's phone`, at most 64 characters.
    pub device_name: String,
}

/// The answer: authorise at your issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProvisioningStarted {
    /// The request's id at the provisioner.
    pub id: String,
    /// What the holder carries to the issuer, short enough to be typed.
    pub device_code: String,
    /// The same with all that the issuer must know, to be pasted or scanned.
    pub request: String,
    /// From when on both are refused.
    pub expiry_ms: u64,
}

/// `POST /v1/provisioning-requests/{id}/authorization-code` (DPoP by the same device key).
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationCodeRequest {
    /// What the issuer showed to the holder.
    pub authorization_code: String,
}

/// The credential, sealed to the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReleasedCredential {
    /// Sealed with HPKE (RFC 9180) to `sealing_key`.
    pub sealed: Bytes,
}

/// `GET /v1/provisioner`: the keys by which others know this provisioner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProvisionerKeys {
    /// The key that signs credentials (`tlyk1...`).
    pub credential_key: String,
}

/// A client of a provisioner.
#[derive(Clone)]
pub struct ProvisionerClient(pub Client);

impl ProvisionerClient {
    /// Asks for a credential. Needs a proof maker.
    pub async fn start(
        &self,
        body: &ProvisioningRequest,
        key: &str,
    ) -> Result<ProvisioningStarted, ApiError> {
        self.0.post("/v1/provisioning-requests", body, Repeat::Key(key)).await
    }

    /// Hands in the authorization code. Never sent twice: a wrong code counts as a guess.
    pub async fn complete(
        &self,
        id: &str,
        body: &AuthorizationCodeRequest,
    ) -> Result<ReleasedCredential, ApiError> {
        let path = format!("/v1/provisioning-requests/{id}/authorization-code");
        self.0.post(&path, body, Repeat::Never).await
    }

    /// The provisioner's public keys.
    pub async fn keys(&self) -> Result<ProvisionerKeys, ApiError> {
        self.0.get("/v1/provisioner").await
    }
}

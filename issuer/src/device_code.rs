//! Provisioning at the issuer (capability 1): showing a device's request, deciding it, and
//! certifying the device's key once the provisioner has released its credential.

use tallystick_crypto::{KeyStore, PublicKey};
use tallystick_kernel::{Reason, TimeMs};
use tallystick_proofs::authorization_code::{self, AuthorizationCode, Decision};
use tallystick_proofs::certificate_request::CertificateRequest;
use tallystick_proofs::credential::{self, Credential};
use tallystick_proofs::device_code::{DeviceRequest, SharedKeyId, account_digest};

use crate::holder::Holder;

/// Reads the request text that a holder brought, and checks that it is about this holder's account.
///
/// Returns the reasons of [`DeviceRequest::from_text`], [`Reason::AccountNotLinked`],
/// [`Reason::AccountMismatch`], [`Reason::KeyIdUnknown`] and [`Reason::DeviceCodeExpired`].
pub fn read(
    text: &str,
    holder: &Holder,
    shared: SharedKeyId,
    now: TimeMs,
) -> Result<DeviceRequest, Reason> {
    let request = DeviceRequest::from_text(text)?;
    let link = holder.require_link()?;
    if request.account_digest != account_digest(&link.account, &request.nonce) {
        return Err(Reason::AccountMismatch);
    }
    if request.key_id != shared {
        return Err(Reason::KeyIdUnknown);
    }
    if now >= request.expiry {
        return Err(Reason::DeviceCodeExpired);
    }
    Ok(request)
}

/// Makes the code for a decision. `before` is what was decided about this request earlier: a denial
/// stays ([`Reason::AuthorizationDenied`]), an approval may be repeated for a fresh code or be
/// followed by a denial.
///
/// Returns also the reasons of [`KeyStore::tag`].
pub fn decide(
    keys: &dyn KeyStore,
    key_name: &str,
    request: &DeviceRequest,
    before: Option<Decision>,
    decision: Decision,
    now: TimeMs,
) -> Result<AuthorizationCode, Reason> {
    if before == Some(Decision::Deny) && decision == Decision::Approve {
        return Err(Reason::AuthorizationDenied);
    }
    authorization_code::make(keys, key_name, request, decision, now)
}

/// Judges a device's request for a certificate: it shows a credential of the provisioner for this
/// very key and this holder's account. The caller MUST spend [`Credential::id`] with the write.
///
/// Returns the reasons of [`CertificateRequest::read`] and [`credential::verify`],
/// [`Reason::DeviceMismatch`] for the credential of another key (also when `proven`, the key of the
/// request's proof of possession, is another), and [`Reason::AccountMismatch`].
pub fn certifiable(
    request: &[u8],
    credential: &[u8],
    proven: &PublicKey,
    holder: &Holder,
    provisioner: &PublicKey,
    now: TimeMs,
) -> Result<Credential, Reason> {
    let request = CertificateRequest::read(request)?;
    let credential = credential::verify(credential, provisioner, now)?;
    if credential.device_key != request.key() || credential.device_key != *proven {
        return Err(Reason::DeviceMismatch);
    }
    if holder.require_link()?.account != credential.account {
        return Err(Reason::AccountMismatch);
    }
    Ok(credential)
}

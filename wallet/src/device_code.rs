//! Provisioning at the wallet (capability 1): opening the credential that was released to it.

use tallystick_crypto::{KeyStore, PublicKey};
use tallystick_kernel::{AccountId, Codec, Reason, TimeMs};
use tallystick_proofs::credential::{self, SEAL_LABEL};
use tallystick_proofs::sealed::{SEALED_BYTES_MAX, SealedEnvelope};

/// Opens a released credential with the key `opening_key` of `keys`, and checks that it is the one
/// that was asked for: from this provisioner, for this account, for this device's key.
///
/// Returns [`Reason::CredentialMalformed`] for what does not open or says something else, and the
/// reasons of [`credential::verify`].
#[expect(clippy::too_many_arguments, reason = "each is one fact that is compared")]
pub fn open(
    keys: &dyn KeyStore,
    opening_key: &str,
    sealed: &[u8],
    request: &[u8; 16],
    provisioner: &PublicKey,
    account: &AccountId,
    device_key: &PublicKey,
    now: TimeMs,
) -> Result<Vec<u8>, Reason> {
    let envelope = SealedEnvelope::from_bytes(sealed, SEALED_BYTES_MAX);
    let opened = envelope.and_then(|sealed| sealed.open(keys, opening_key, SEAL_LABEL, request));
    let opened = opened.map_err(|_| Reason::CredentialMalformed)?;
    let credential = credential::verify(&opened, provisioner, now)?;
    if credential.account != *account || credential.device_key != *device_key {
        return Err(Reason::CredentialMalformed);
    }
    Ok(opened.to_vec())
}

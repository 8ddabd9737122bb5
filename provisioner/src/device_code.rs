//! The decisions of provisioning by device code and authorization code (capability 1).

use tallystick_crypto::hpke::SealingKey;
use tallystick_crypto::key_store::Signer;
use tallystick_crypto::{KeyStore, PublicKey};
use tallystick_kernel::limits::{DEVICE_CODE_LIFE, GUESSES_PER_DAY_MAX, GUESSES_PER_REQUEST_MAX};
use tallystick_kernel::shown_text::is_shown;
use tallystick_kernel::{AccountId, Codec, Digest, DurationMs, Reason, TimeMs};
use tallystick_proofs::authorization_code::{self, Decision};
use tallystick_proofs::credential::{self, Credential};
use tallystick_proofs::device_code::{
    DEVICE_NAME_BYTES_MAX, DeviceCode, DeviceRequest, SharedKeyId, account_digest,
};
use tallystick_proofs::sealed;

use crate::request::{DEVICE_KIND_BYTES_MAX, Request, RequestState};
use crate::risk::{RiskPolicy, Signals};

/// Wrong codes under one shared key in a day, from which on the key serves no more that day.
///
/// Anyone can make devices and hand in wrong codes, so a low limit would let strangers stop
/// provisioning for everyone. At this one, guesses succeed with a chance below 2^-24 a day.
pub const GUESSES_PER_KEY_MAX: u32 = 100_000_000;
/// Wrong codes under one shared key in a day at which the operator is told.
pub const GUESSES_PER_KEY_ALARM: u64 = 1000;
/// Wrong codes for one account in a day, of any devices, at which the operator is told. They refuse
/// nothing: account ids are public, and the holder must not be locked out by strangers.
pub const GUESSES_PER_ACCOUNT_ALARM: u64 = 100;
/// How long a credential may be shown to the issuer.
pub const CREDENTIAL_LIFE: DurationMs = DurationMs::minutes(60);

/// What a wallet asks with; the device's key has proven possession (DPoP).
#[derive(Clone, Debug)]
pub struct Start {
    /// Random; names the request.
    pub id: [u8; 16],
    /// The account that the credential is for.
    pub account: AccountId,
    /// The device's key.
    pub device_key: PublicKey,
    /// Its thumbprint (RFC 7638).
    pub thumbprint: Digest,
    /// What kind of identifier the device has: 1 to 32 bytes.
    pub device_kind: String,
    /// The keyed digest of the identifier.
    pub device_digest: Digest,
    /// Chosen by the wallet.
    pub nonce: [u8; 16],
    /// What the credential is to be sealed to.
    pub sealing_key: SealingKey,
    /// A name for people: at most 64 bytes.
    pub device_name: String,
}

/// Wrong codes of today, before this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guesses {
    /// Of the device, for any accounts: so never fewer than of this device for this account.
    pub device: u32,
    /// Under the shared key.
    pub key: u32,
}

/// What became of a code that was handed in. `next` MUST be stored before the outcome is told, and
/// where `counts` is set the counters of [`Guesses`] with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The request afterwards.
    pub next: Request,
    /// Whether it was a wrong guess.
    pub counts: bool,
    /// Released, or why not.
    pub outcome: Result<(), Reason>,
}

/// Opens a request. `code_key` names the provisioner's own key (HMAC) that device codes come from;
/// `shared` is the id of the key that the issuer of the account shares.
///
/// Returns [`Reason::FieldInvalid`] for a name or a kind that is too long or empty, and the reasons
/// of [`KeyStore::tag`].
pub fn start(
    keys: &dyn KeyStore,
    code_key: &str,
    shared: SharedKeyId,
    start: Start,
    now: TimeMs,
) -> Result<Request, Reason> {
    let usable = |text: &str, bytes_max: usize| {
        !text.is_empty() && text.len() <= bytes_max && is_shown(text)
    };
    if !usable(&start.device_kind, DEVICE_KIND_BYTES_MAX)
        || !usable(&start.device_name, DEVICE_NAME_BYTES_MAX)
    {
        return Err(Reason::FieldInvalid);
    }
    let label = "tallystick/device-code/1";
    let tag = keys.tag(code_key, label, &[&start.device_digest, &start.nonce, &start.id])?;
    let carried = DeviceRequest {
        key_id: shared,
        device_code: DeviceCode::from_tag(&tag),
        nonce: start.nonce,
        thumbprint: start.thumbprint,
        account_digest: account_digest(&start.account, &start.nonce),
        device_name: start.device_name,
        expiry: now.after(DEVICE_CODE_LIFE),
    };
    Ok(Request {
        id: start.id,
        account: start.account,
        device_key: start.device_key,
        device_kind: start.device_kind,
        device_digest: start.device_digest,
        sealing_key: start.sealing_key,
        carried,
        guesses: 0,
        state: RequestState::Open,
    })
}

/// Judges an authorization code that the device with `thumbprint` handed in for a request.
/// `shared_key` names the key behind [`DeviceRequest::key_id`]; none when it is not known here.
///
/// An error leaves everything as it was: [`Reason::DeviceMismatch`],
/// [`Reason::AuthorizationDenied`], [`Reason::RequestUsed`], [`Reason::GuessLimit`],
/// [`Reason::DeviceCodeExpired`], [`Reason::KeyIdUnknown`], [`Reason::KeyIdBlocked`],
/// [`Reason::GuessLimitDay`], [`Reason::AuthorizationCodeMalformed`] (no guess), in this order.
#[expect(clippy::too_many_arguments, reason = "each is one fact that the decision rests on")]
pub fn complete(
    keys: &dyn KeyStore,
    shared_key: Option<&str>,
    policy: &RiskPolicy,
    request: &Request,
    thumbprint: &Digest,
    code: &str,
    today: (Guesses, Signals),
    now: TimeMs,
) -> Result<Completion, Reason> {
    let (guesses, signals) = today;
    if request.carried.thumbprint != *thumbprint {
        return Err(Reason::DeviceMismatch);
    }
    match request.state {
        RequestState::Open => {}
        RequestState::Denied => return Err(Reason::AuthorizationDenied),
        RequestState::Released => return Err(Reason::RequestUsed),
        RequestState::Closed => return Err(Reason::GuessLimit),
    }
    if now >= request.carried.expiry {
        return Err(Reason::DeviceCodeExpired);
    }
    let shared_key = shared_key.ok_or(Reason::KeyIdUnknown)?;
    if guesses.key >= GUESSES_PER_KEY_MAX {
        return Err(Reason::KeyIdBlocked);
    }
    if guesses.device >= GUESSES_PER_DAY_MAX {
        return Err(Reason::GuessLimitDay);
    }
    let code = code.parse()?;
    let mut next = request.clone();
    let decision = authorization_code::check(keys, shared_key, &request.carried, &code, now);
    let (state, outcome) = match decision {
        Ok(Decision::Approve) => match policy.check(&signals, now) {
            Ok(()) => (RequestState::Released, Ok(())),
            Err(reason) => (RequestState::Closed, Err(reason)),
        },
        Ok(Decision::Deny) => (RequestState::Denied, Err(Reason::AuthorizationDenied)),
        Err(Reason::AuthorizationCodeWrong) => {
            next.guesses += 1;
            let closed = next.guesses >= GUESSES_PER_REQUEST_MAX;
            let state = if closed { RequestState::Closed } else { RequestState::Open };
            (state, Err(Reason::AuthorizationCodeWrong))
        }
        Err(reason) => return Err(reason),
    };
    next.state = state;
    let counts = outcome == Err(Reason::AuthorizationCodeWrong);
    Ok(Completion { next, counts, outcome })
}

/// Makes the credential of a request that was completed, sealed to its device. `id` is random, and
/// so is `randomness`.
///
/// Returns the reasons of [`credential::make`] and [`sealed::seal`].
pub fn release(
    request: &Request,
    signer: &dyn Signer,
    id: [u8; 16],
    randomness: [u8; 32],
    now: TimeMs,
) -> Result<Vec<u8>, Reason> {
    let issued = TimeMs(now.unix_seconds() * 1000);
    let credential = Credential {
        account: request.account,
        device_key: request.device_key,
        issued,
        expires: issued.after(CREDENTIAL_LIFE),
        id,
    };
    let bytes = credential::make(&credential, signer)?;
    let label = credential::SEAL_LABEL;
    let envelope = sealed::seal(&request.sealing_key, label, &request.id, &bytes, randomness)?;
    Ok(envelope.to_bytes())
}

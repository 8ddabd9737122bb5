//! A request for a credential, as the provisioner keeps it.

use tallystick_crypto::PublicKey;
use tallystick_crypto::hpke::{Kem, SealingKey};
use tallystick_kernel::{AccountId, Codec, Digest, Reader, Reason, Writer};
use tallystick_proofs::device_code::DeviceRequest;

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// It waits for an authorization code.
    Open,
    /// The credential was released. Final.
    Released,
    /// The issuer declined. Final.
    Denied,
    /// Too many wrong codes, or too risky. Final.
    Closed,
}

/// A request. The record's key is [`Request::id`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Random; names the request.
    pub id: [u8; 16],
    /// The account that the credential is for.
    pub account: AccountId,
    /// The device's key, P-256; its thumbprint is in `carried`.
    pub device_key: PublicKey,
    /// What kind of identifier the device has.
    pub device_kind: String,
    /// The keyed digest of the identifier.
    pub device_digest: Digest,
    /// What the credential is sealed to.
    pub sealing_key: SealingKey,
    /// What the holder carries to the issuer.
    pub carried: DeviceRequest,
    /// Wrong codes so far.
    pub guesses: u32,
    /// How far it is.
    pub state: RequestState,
}

impl Codec for Request {
    fn encode(&self, out: &mut Writer) {
        out.array(11).u64(VERSION).bytes(&self.id).value(&self.account).value(&self.device_key);
        out.text(&self.device_kind).bytes(&self.device_digest);
        out.u64(u64::from(self.sealing_key.kem().number())).bytes(self.sealing_key.bytes());
        out.value(&self.carried).u64(u64::from(self.guesses)).u64(match self.state {
            RequestState::Open => 0,
            RequestState::Released => 1,
            RequestState::Denied => 2,
            RequestState::Closed => 3,
        });
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(11)?;
        if input.u64()? != VERSION {
            return Err(Reason::VersionUnknown);
        }
        let id = input.byte_array()?;
        let account = AccountId::decode(input)?;
        let device_key = PublicKey::decode(input)?;
        let device_kind = input.text(DEVICE_KIND_BYTES_MAX)?.to_owned();
        let device_digest = input.byte_array()?;
        let kem = Kem::from_number(input.u16()?)?;
        let sealing_key = SealingKey::new(kem, input.bytes(kem.public_bytes())?)?;
        Ok(Request {
            id,
            account,
            device_key,
            device_kind,
            device_digest,
            sealing_key,
            carried: DeviceRequest::decode(input)?,
            guesses: input.u32()?,
            state: match input.u64()? {
                0 => RequestState::Open,
                1 => RequestState::Released,
                2 => RequestState::Denied,
                3 => RequestState::Closed,
                _ => return Err(Reason::Malformed),
            },
        })
    }
}

/// Bytes of the name of a kind of identifier at most.
pub const DEVICE_KIND_BYTES_MAX: usize = 32;
/// Bytes of a stored request at most.
pub const REQUEST_BYTES_MAX: usize = 1024;
const VERSION: u64 = 1;

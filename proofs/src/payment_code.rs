//! Rotating payment codes: claims signed by the key of a device, short enough for a QR code.
//!
//! `TLY1:` || Base45( zlib( COSE_Sign1( CWT ) ) ). A merchant verifies one offline with the trust
//! anchors and the revocation lists of issuers. Invariants: the key is the one that the issuer
//! certified for the account token that the code names; a code lives 60 s at most. Whether a code
//! was used before is for the caller to find out, by [`PaymentClaims::code_id`] and never by the
//! code's bytes, since a signature can be re-encoded.

use std::collections::BTreeMap;
use std::io::Read;

use coset::cbor::Value;
use flate2::Compression;
use flate2::read::{ZlibDecoder, ZlibEncoder};
use tallystick_crypto::key_store::Signer;
use tallystick_crypto::{PublicKey, Signature};
use tallystick_kernel::hash::sha256;
use tallystick_kernel::limits::{
    CERTIFICATE_SKEW, PAYMENT_CODE_CHARS_MAX, PAYMENT_CODE_EARLY, PAYMENT_CODE_INFLATED_BYTES_MAX,
    PAYMENT_CODE_LATE, PAYMENT_CODE_LIFE_MAX,
};
use tallystick_kernel::{Amount, CurrencyCode, Reason, TimeMs};

use crate::cose::{Algorithm, CoseSign1, Headers, Tags, Unsigned};
use crate::cwt::{Claims, Skew, key};
use crate::revocation_list::RevocationList;
use crate::x509_chain::{ChainPolicy, TrustAnchors, ValidChain};
use crate::{base45, foreign_cbor};

/// What every code starts with.
pub const PREFIX: &str = "TLY1:";
/// Bytes of the longest account token: as many as a common name may have (RFC 5280 appendix A).
pub const ACCOUNT_TOKEN_BYTES_MAX: usize = 64;

/// A key's id in a code: the first 8 bytes of the SHA-256 of its `SubjectPublicKeyInfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 8]);

/// The certificates of a device's key in DER, leaf first.
pub type Chain = Vec<Vec<u8>>;

/// What the device signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentClaims {
    /// The token that stands for the account; the common name of the device's certificate.
    pub account_token: String,
    /// When the code was made; whole seconds.
    pub issued: TimeMs,
    /// When it ends; whole seconds, at most 60 s after `issued`.
    pub expires: TimeMs,
    /// Names this code and no other: one payment for each, at the issuer.
    pub code_id: [u8; 16],
    /// Rises with each code of the device.
    pub counter: u64,
    /// The amount that the holder agreed to, when the code is bound to one.
    pub amount: Option<(CurrencyCode, Amount)>,
}

/// What a verifier trusts.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// The certificates of issuers.
    pub anchors: &'a TrustAnchors,
    /// Chains from codes of first contact, for codes that carry only a key id.
    pub known: &'a BTreeMap<KeyId, Chain>,
    /// Current revocation lists of issuers. Without one of the device's issuer nothing verifies.
    pub revocation: &'a [RevocationList],
}

/// A code that verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCode {
    /// What the device signed.
    pub claims: PaymentClaims,
    /// The id of the device's key.
    pub key_id: KeyId,
    /// The device's key.
    pub key: PublicKey,
    /// The chain that vouched for it, to be kept for later codes under `key_id`.
    pub chain: Chain,
}

impl KeyId {
    /// The id of a key.
    pub fn of(key: &PublicKey) -> Result<KeyId, Reason> {
        let info = tallystick_crypto::standard_signature::StandardKey::from(key).to_spki_der()?;
        let digest = sha256(&info);
        let mut id = [0; 8];
        id.copy_from_slice(&digest[..8]);
        Ok(KeyId(id))
    }
}

impl PaymentClaims {
    /// Whether the claims may stand in a code at all.
    ///
    /// Returns [`Reason::ClaimMalformed`] for an empty or long token or times that are not whole
    /// seconds, [`Reason::AmountZero`], [`Reason::ValidityTooLong`].
    pub fn check(&self) -> Result<(), Reason> {
        let token = &self.account_token;
        let whole = |time: TimeMs| time.0.is_multiple_of(1000);
        let token_usable = !token.is_empty() && token.len() <= ACCOUNT_TOKEN_BYTES_MAX;
        if !token_usable || !whole(self.issued) || !whole(self.expires) {
            return Err(Reason::ClaimMalformed);
        }
        if self.expires <= self.issued {
            return Err(Reason::ClaimMalformed);
        }
        if self.expires > self.issued.after(PAYMENT_CODE_LIFE_MAX) {
            return Err(Reason::ValidityTooLong);
        }
        match self.amount {
            Some((_, amount)) if amount.is_zero() => Err(Reason::AmountZero),
            _ => Ok(()),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut entries = vec![
            (key::SUBJECT, Value::Text(self.account_token.clone())),
            (key::EXPIRY, Value::from(self.expires.unix_seconds())),
            (key::ISSUED, Value::from(self.issued.unix_seconds())),
            (key::TOKEN_ID, Value::Bytes(self.code_id.to_vec())),
            (COUNTER, Value::from(self.counter)),
        ];
        if let Some((currency, amount)) = self.amount {
            let parts =
                vec![Value::Text(currency.as_str().to_owned()), Value::from(amount.minor())];
            entries.push((AMOUNT, Value::Array(parts)));
        }
        let entries = entries.into_iter().map(|(key, value)| (Value::from(key), value)).collect();
        foreign_cbor::write(&Value::Map(entries))
    }

    fn from_claims(claims: &Claims) -> Result<PaymentClaims, Reason> {
        let malformed = Reason::ClaimMalformed;
        let token = claims.need(key::SUBJECT)?.as_text().ok_or(malformed)?;
        let code_id = claims.need(key::TOKEN_ID)?.as_bytes().ok_or(malformed)?;
        let made = PaymentClaims {
            account_token: token.to_owned(),
            issued: claims.issued()?,
            expires: claims.expiry()?,
            code_id: code_id[..].try_into().map_err(|_| malformed)?,
            counter: number(claims.need(COUNTER)?)?,
            amount: claims.get(AMOUNT).map(amount_of).transpose()?,
        };
        made.check()?;
        Ok(made)
    }
}

/// A code that lacks nothing but its signature, for a device whose key is elsewhere (in a browser).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsignedCode(Unsigned);

impl UnsignedCode {
    /// What the device with `key` is to sign. `chain` goes along on first contact, so that a
    /// verifier who does not know the key learns it; otherwise the code carries the key's id alone
    /// and is shorter.
    ///
    /// Returns the reasons of [`PaymentClaims::check`].
    pub fn new(
        claims: &PaymentClaims,
        key: &PublicKey,
        chain: Option<&Chain>,
    ) -> Result<UnsignedCode, Reason> {
        claims.check()?;
        let key_id = KeyId::of(key)?;
        let headers = Headers { key_id: Some(&key_id.0), chain: chain.map(Vec::as_slice) };
        Ok(UnsignedCode(Unsigned::new(key, headers, b"", &claims.encode())))
    }

    /// The bytes that the device signs: a `Sig_structure` of RFC 9052 section 4.4.
    pub fn to_be_signed(&self) -> &[u8] {
        self.0.to_be_signed()
    }

    /// The text of the code. The signature is not verified: the caller MUST do so with [`verify`]
    /// before anyone relies on the code. Returns [`Reason::TooLarge`].
    pub fn assemble(self, signature: &Signature) -> Result<String, Reason> {
        let object = self.0.assemble(signature);
        let mut compressed = Vec::new();
        ZlibEncoder::new(&object[..], Compression::best())
            .read_to_end(&mut compressed)
            .map_err(|_| Reason::Internal)?;
        let text = format!("{PREFIX}{}", base45::encode(&compressed));
        if text.len() > PAYMENT_CODE_CHARS_MAX { Err(Reason::TooLarge) } else { Ok(text) }
    }
}

/// Makes the text of a code as [`UnsignedCode`] does, with a key that is here.
///
/// Returns the reasons of [`PaymentClaims::check`] and of the signer.
pub fn make(
    claims: &PaymentClaims,
    signer: &dyn Signer,
    chain: Option<&Chain>,
) -> Result<String, Reason> {
    let unsigned = UnsignedCode::new(claims, &signer.public_key(), chain)?;
    let signature = signer.sign(unsigned.to_be_signed())?;
    unsigned.assemble(&signature)
}

/// Verifies a code at `now`.
///
/// Returns, in this order of precedence: [`Reason::PrefixUnknown`]; [`Reason::TooLarge`];
/// [`Reason::Base45Malformed`], [`Reason::InflateFailed`]; the reasons of [`CoseSign1::read`];
/// [`Reason::KeyUnknown`]; the reasons of [`ValidChain::validate`];
/// [`Reason::AlgorithmNotAllowed`]; those of [`CoseSign1::verify`]; those of [`Claims::read`],
/// [`Reason::ClaimMissing`], [`Reason::ClaimMalformed`], [`Reason::ValidityTooLong`];
/// [`Reason::NotYetValid`], [`Reason::Expired`]; [`Reason::RevocationUnknown`],
/// [`Reason::Revoked`]; [`Reason::AccountMismatch`].
pub fn verify(text: &str, now: TimeMs, trust: Trust<'_>) -> Result<VerifiedCode, Reason> {
    let object = CoseSign1::read(&unpack(text, PREFIX)?, Tags::Sign1)?;
    let key_id = key_id_of(&object)?;
    let chain = match object.chain()? {
        Some(chain) => chain,
        None => trust.known.get(&key_id).cloned().ok_or(Reason::KeyUnknown)?,
    };
    let policy = ChainPolicy { now, skew: CERTIFICATE_SKEW, leaf_usage_required: true };
    let path = ValidChain::validate(&chain, trust.anchors, policy)?;
    let leaf = path.leaf();
    let public = leaf.key().to_public_key()?;
    if KeyId::of(&public)? != key_id {
        return Err(Reason::KeyUnknown);
    }
    let algorithm = Algorithm::of_key(&public);
    if object.algorithm()? != algorithm {
        return Err(Reason::AlgorithmNotAllowed);
    }
    object.verify(leaf.key(), algorithm, b"")?;
    let read = Claims::read(object.payload()?)?;
    let claims = PaymentClaims::from_claims(&read)?;
    read.check_time(now, Skew { early: PAYMENT_CODE_EARLY, late: PAYMENT_CODE_LATE })?;
    path.check_revocation(trust.revocation, now, CERTIFICATE_SKEW)?;
    if leaf.common_name().as_ref() != Some(&claims.account_token) {
        return Err(Reason::AccountMismatch);
    }
    Ok(VerifiedCode { claims, key_id, key: public, chain })
}

/// The key id that a code names, and whether it carries its chain: what a verifier needs to look up
/// before [`verify`]. Nothing is verified yet.
pub fn peek(text: &str) -> Result<(KeyId, bool), Reason> {
    let object = CoseSign1::read(&unpack(text, PREFIX)?, Tags::Sign1)?;
    Ok((key_id_of(&object)?, object.chain()?.is_some()))
}

/// Takes `prefix`, Base45 and zlib off a code's text, of ours or of others.
///
/// Returns [`Reason::PrefixUnknown`]; [`Reason::TooLarge`] for text above
/// [`PAYMENT_CODE_CHARS_MAX`] and for what would inflate above [`PAYMENT_CODE_INFLATED_BYTES_MAX`];
/// [`Reason::Base45Malformed`]; [`Reason::InflateFailed`], also for bytes after the stream.
pub fn unpack(text: &str, prefix: &str) -> Result<Vec<u8>, Reason> {
    let body = text.strip_prefix(prefix).ok_or(Reason::PrefixUnknown)?;
    if text.len() > PAYMENT_CODE_CHARS_MAX {
        return Err(Reason::TooLarge);
    }
    let compressed = base45::decode(body)?;
    let mut inflated = Vec::new();
    let mut stream = ZlibDecoder::new(&compressed[..]);
    // One byte more than allowed is read, so that a bomb is noticed and never unfolds.
    stream
        .by_ref()
        .take(PAYMENT_CODE_INFLATED_BYTES_MAX as u64 + 1)
        .read_to_end(&mut inflated)
        .map_err(|_| Reason::InflateFailed)?;
    if inflated.len() > PAYMENT_CODE_INFLATED_BYTES_MAX {
        return Err(Reason::TooLarge);
    }
    if stream.total_in() != compressed.len() as u64 {
        return Err(Reason::InflateFailed);
    }
    Ok(inflated)
}

fn key_id_of(object: &CoseSign1) -> Result<KeyId, Reason> {
    let bytes = object.key_id().ok_or(Reason::KeyUnknown)?;
    bytes.try_into().map(KeyId).map_err(|_| Reason::KeyUnknown)
}

fn number(value: &Value) -> Result<u64, Reason> {
    let number = value.as_integer().ok_or(Reason::ClaimMalformed)?;
    u64::try_from(number).map_err(|_| Reason::ClaimMalformed)
}

fn amount_of(value: &Value) -> Result<(CurrencyCode, Amount), Reason> {
    match value.as_array().map(Vec::as_slice) {
        Some([Value::Text(currency), minor]) => {
            Ok((CurrencyCode::new(currency)?, Amount::new(number(minor)?)?))
        }
        _ => Err(Reason::ClaimMalformed),
    }
}

/// Our claims, in the range that RFC 8392 leaves for private use.
const COUNTER: i64 = -70_001;
const AMOUNT: i64 = -70_002;

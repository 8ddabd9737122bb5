//! A transaction: a body, what it does, and the witness that it is wanted.
//!
//! Invariants: the id depends on the body alone, never on signature bytes; a decoded witness has
//! its keys strictly rising; ids made by a transaction depend on its id and an index alone.

use tallystick_crypto::key_store::Signer;
use tallystick_crypto::{PublicKey, Signature, SigningKey};
use tallystick_kernel::limits::{
    BODY_BYTES_MAX, OWNER_KEYS_MAX, TRANSACTION_BYTES_MAX, WITNESS_BYTES_MAX,
};
use tallystick_kernel::{
    AccountId, Codec, Digest, LabelledHash, NetworkId, Reader, Reason, ReserveId, Salt, TimeMs,
    TransactionId, Writer,
};

use crate::action::Action;
use crate::header::Entry;

/// The version of the body's encoding.
pub const BODY_VERSION: u64 = 1;

/// What is signed: `[version, network, account, salt, valid_until_ms, action]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The network that it is for.
    pub network: NetworkId,
    /// Whose money moves; [`AccountId::NONE`] exactly for `account_open`.
    pub account: AccountId,
    /// Random; makes equal payments different transactions.
    pub salt: Salt,
    /// From this block time on it can no longer be included; at most 10 minutes ahead.
    pub valid_until: TimeMs,
    /// What it does.
    pub action: Action,
}

/// Signatures over the id: `[[key, signature], ...]`, keys strictly rising.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness(pub Vec<(PublicKey, Signature)>);

/// A body with its witness: `[body bytes, witness bytes]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// What is wanted.
    pub body: Body,
    /// Who wants it.
    pub witness: Witness,
}

impl Body {
    /// The transaction's id: a labelled hash of the canonical body.
    pub fn id(&self) -> TransactionId {
        body_id(&self.to_bytes())
    }

    /// Signs with one or more keys; the witness comes out in canonical order.
    pub fn sign(self, keys: &[&SigningKey]) -> Transaction {
        let id = self.id();
        let mut signed: Vec<_> =
            keys.iter().map(|key| (key.public_key(), key.sign(&id.0))).collect();
        signed.sort_by_key(|entry| entry.0);
        Transaction { body: self, witness: Witness(signed) }
    }

    /// Signs as [`Body::sign`] does, with keys that may be in a store; the signers' reasons.
    pub fn sign_by(self, signers: &[&dyn Signer]) -> Result<Transaction, Reason> {
        let id = self.id();
        let signed = signers.iter().map(|key| Ok((key.public_key(), key.sign(&id.0)?)));
        let mut signed = signed.collect::<Result<Vec<_>, Reason>>()?;
        signed.sort_by_key(|entry| entry.0);
        Ok(Transaction { body: self, witness: Witness(signed) })
    }

    /// Checks all that the body alone decides: account present exactly where it must be, and the
    /// action's own form. Returns [`Reason::Malformed`] and the reasons of [`Action::check`].
    pub fn check(&self) -> Result<(), Reason> {
        let opens = matches!(self.action, Action::AccountOpen { .. });
        if opens != (self.account == AccountId::NONE) {
            return Err(Reason::Malformed);
        }
        self.action.check()
    }
}

impl Witness {
    /// The hash by which a block names this witness.
    pub fn hash(&self) -> Digest {
        witness_hash(&self.to_bytes())
    }

    /// The keys that sign.
    pub fn signers(&self) -> impl ExactSizeIterator<Item = &PublicKey> {
        self.0.iter().map(|(key, _)| key)
    }

    /// Checks form and every signature over `id`, one by one.
    ///
    /// Returns [`Reason::SignatureMissing`] for an empty witness, [`Reason::WitnessOrder`], and
    /// the reasons of [`PublicKey::verify`].
    pub fn verify(&self, id: &TransactionId) -> Result<(), Reason> {
        self.check_form()?;
        self.0.iter().try_for_each(|(key, signature)| key.verify(&id.0, signature))
    }

    /// Checks that there is a signature and that keys rise strictly; verifies nothing.
    pub fn check_form(&self) -> Result<(), Reason> {
        if self.0.is_empty() {
            return Err(Reason::SignatureMissing);
        }
        if self.0.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(Reason::WitnessOrder);
        }
        Ok(())
    }
}

impl Transaction {
    /// The id of the body.
    pub fn id(&self) -> TransactionId {
        self.body.id()
    }

    /// Reads canonical bytes, and names what they hold by hashing them as they came.
    ///
    /// Accepts what [`Codec::from_bytes`] accepts, with the same reasons, and encodes nothing a
    /// second time but what proves that the bytes are canonical.
    pub fn read(bytes: &[u8]) -> Result<(Transaction, Entry), Reason> {
        if bytes.len() > TRANSACTION_BYTES_MAX {
            return Err(Reason::TooLarge);
        }
        let mut input = Reader::new(bytes);
        let (body, witness) = parts(&mut input)?;
        if !input.is_empty() {
            return Err(Reason::TrailingBytes);
        }
        let mut again = Writer::new();
        again.array(2).bytes(body).bytes(witness);
        let transaction = Transaction {
            body: Body::from_bytes(body, BODY_BYTES_MAX)?,
            witness: Witness::from_bytes(witness, WITNESS_BYTES_MAX)?,
        };
        if again.finish() != bytes {
            return Err(Reason::NotCanonical);
        }
        let entry = Entry { id: body_id(body), witness_hash: witness_hash(witness) };
        Ok((transaction, entry))
    }

    /// All that needs no signature, in this order: form of the body, network, form of the witness.
    pub fn check_form(&self, network: &NetworkId) -> Result<(), Reason> {
        self.body.check()?;
        if self.body.network != *network {
            return Err(Reason::WrongNetwork);
        }
        self.witness.check_form()
    }

    /// The stateless part of the first verification, in this order: form of the body, network,
    /// form of the witness, signatures. Time and state are the caller's.
    pub fn verify(&self, network: &NetworkId) -> Result<(), Reason> {
        self.check_form(network)?;
        self.witness.verify(&self.id())
    }
}

fn parts<'b>(input: &mut Reader<'b>) -> Result<(&'b [u8], &'b [u8]), Reason> {
    input.tuple(2)?;
    Ok((input.bytes(BODY_BYTES_MAX)?, input.bytes(WITNESS_BYTES_MAX)?))
}

fn witness_hash(witness: &[u8]) -> Digest {
    LabelledHash::new("tallystick/witness/1").part(witness).finish()
}

/// The id of canonical body bytes.
pub fn body_id(body: &[u8]) -> TransactionId {
    TransactionId(LabelledHash::new("tallystick/tx/1").part(body).finish())
}

/// The id of the account that an `account_open` opens.
pub fn account_id(transaction: &TransactionId) -> AccountId {
    AccountId(made_id("tallystick/account/1", transaction, 0))
}

/// The id of the reserve that a transaction opens at `index`.
pub fn reserve_id(transaction: &TransactionId, index: u64) -> ReserveId {
    ReserveId(made_id("tallystick/reserve/1", transaction, index))
}

fn made_id(label: &str, transaction: &TransactionId, index: u64) -> Digest {
    LabelledHash::new(label).part(&transaction.0).number(index).finish()
}

impl Codec for Body {
    fn encode(&self, out: &mut Writer) {
        out.array(6).u64(BODY_VERSION).value(&self.network).value(&self.account);
        out.value(&self.salt).value(&self.valid_until).value(&self.action);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(6)?;
        if input.u64()? != BODY_VERSION {
            return Err(Reason::VersionUnknown);
        }
        Ok(Body {
            network: NetworkId::decode(input)?,
            account: AccountId::decode(input)?,
            salt: Salt::decode(input)?,
            valid_until: TimeMs::decode(input)?,
            action: Action::decode(input)?,
        })
    }
}

impl Codec for Witness {
    fn encode(&self, out: &mut Writer) {
        out.array(self.0.len());
        for (key, signature) in &self.0 {
            out.array(2).value(key).value(signature);
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        let length = input.array(OWNER_KEYS_MAX)?;
        let mut entries = Vec::with_capacity(length);
        for _ in 0..length {
            input.tuple(2)?;
            entries.push((PublicKey::decode(input)?, Signature::decode(input)?));
        }
        Ok(Witness(entries))
    }
}

impl Codec for Transaction {
    fn encode(&self, out: &mut Writer) {
        out.array(2).bytes(&self.body.to_bytes()).bytes(&self.witness.to_bytes());
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        let (body, witness) = parts(input)?;
        let body = Body::from_bytes(body, BODY_BYTES_MAX)?;
        let witness = Witness::from_bytes(witness, WITNESS_BYTES_MAX)?;
        Ok(Transaction { body, witness })
    }
}

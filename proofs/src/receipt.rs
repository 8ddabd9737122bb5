//! A receipt: proof of what became of a transaction, verified offline from the genesis file alone.
//!
//! Invariant: verification trusts nothing but the genesis. The chain is: each change of the
//! validator set is itself reported under a quorum of the set before it, from the genesis file's
//! on; a quorum of the set of its epoch signed a header; the reporting header is that one or an
//! ancestor of it; it holds the results root; the path leads from the result to that root; the
//! result names the id and the witness; the body has that id.

use tallystick_kernel::limits::{BODY_BYTES_MAX, RECEIPT_BYTES_MAX, WITNESS_BYTES_MAX};
use tallystick_kernel::{Codec, Reader, Reason, TimeMs, TransactionId, Writer};

use crate::certified::{self, Certified};
use crate::finality::FinalityCertificate;
use crate::genesis::Genesis;
use crate::header::Header;
use crate::merkle::MerklePath;
use crate::result::TransactionResult;
use crate::transaction::{Body, Transaction, Witness};
use crate::validator_sets::KnownSets;

/// The version of the encoding of a receipt under the genesis file's validators.
pub const RECEIPT_VERSION: u64 = 1;
/// The version of the encoding of a receipt with changes of the validator set.
pub const RECEIPT_VERSION_CHANGES: u64 = 2;
/// Headers between the reporting one and the one with a certificate of its own at most.
pub const DESCENDANTS_MAX: usize = 64;
/// Changes of the validator set between genesis and a receipt at most.
pub const CHANGES_MAX: usize = 64;

/// `[1, body, witness, result, path, header, descendants, finality]`, or with version 2 and the
/// changes at the end when there are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The transaction as it was executed.
    pub transaction: Transaction,
    /// What became of it.
    pub result: TransactionResult,
    /// The way from the result to `header.results_root`.
    pub path: MerklePath,
    /// The header that reports the result.
    pub header: Header,
    /// Headers that follow `header` one by one; empty when it has a certificate of its own. (The
    /// engine finalizes a block together with its ancestors, and keeps no certificate for those.)
    pub descendants: Vec<Header>,
    /// The proof that the last of `descendants`, or `header` itself, is final.
    pub finality: FinalityCertificate,
    /// Every change of the validator set from genesis to the certified header's epoch, in order.
    pub changes: Vec<SetChange>,
}

/// The receipt of a `validators_change`, without changes of its own: those before it stand beside
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetChange(pub Receipt);

/// What a verified receipt says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedReceipt {
    /// The transaction's id.
    pub id: TransactionId,
    /// What it wanted.
    pub body: Body,
    /// What became of it.
    pub result: TransactionResult,
    /// The time of the header that reports it.
    pub reported: TimeMs,
}

impl Receipt {
    /// Reads a receipt of at most 256 KiB.
    pub fn read(bytes: &[u8]) -> Result<Receipt, Reason> {
        Receipt::from_bytes(bytes, RECEIPT_BYTES_MAX)
    }

    /// Verifies everything: the changes of the validator set one after another
    /// ([`KnownSets::follow`]), then in this order of precedence: network of the body
    /// ([`Reason::WrongNetwork`]), body and witness belong to the result
    /// ([`Reason::ReceiptMismatch`]), path ([`Reason::PathInvalid`], [`Reason::RootMismatch`]),
    /// the height was executed ([`Reason::ReceiptMismatch`]), the descendants follow
    /// ([`Reason::HeaderMismatch`]), the validator set and the epoch
    /// ([`Reason::ValidatorSetMismatch`]), then the finality certificate and the witness; last that
    /// no change is of a later epoch ([`Reason::ValidatorChainBroken`]).
    ///
    /// A verified receipt may be of a transaction that failed: see
    /// [`VerifiedReceipt::require_payment`].
    pub fn verify(&self, genesis: &Genesis) -> Result<VerifiedReceipt, Reason> {
        let sets = certified::follow(genesis, &self.changes)?;
        let verified = self.verify_under(genesis, &sets)?;
        // A change after this epoch proves nothing here.
        if sets.last_from() > self.certified().last()?.epoch {
            return Err(Reason::ValidatorChainBroken);
        }
        Ok(verified)
    }

    /// As [`Receipt::verify`], under validator sets that are known already; `changes` is not
    /// looked at.
    pub fn verify_under(
        &self,
        genesis: &Genesis,
        sets: &KnownSets,
    ) -> Result<VerifiedReceipt, Reason> {
        let network = genesis.network();
        if self.transaction.body.network != network {
            return Err(Reason::WrongNetwork);
        }
        let id = self.transaction.id();
        let witness_hash = self.transaction.witness.hash();
        if self.result.id != id || self.result.witness_hash != witness_hash {
            return Err(Reason::ReceiptMismatch);
        }
        if self.path.root(&self.result.to_bytes())? != self.header.results_root {
            return Err(Reason::RootMismatch);
        }
        if self.result.height == 0 || self.result.height > self.header.executed_height {
            return Err(Reason::ReceiptMismatch);
        }
        self.certified().verify(genesis, sets)?;
        self.transaction.witness.verify(&id)?;
        Ok(VerifiedReceipt {
            id,
            body: self.transaction.body.clone(),
            result: self.result,
            reported: self.header.time,
        })
    }

    fn certified(&self) -> Certified<'_> {
        Certified { header: &self.header, descendants: &self.descendants, finality: &self.finality }
    }
}

impl VerifiedReceipt {
    /// Only a receipt of success is a payment; else [`Reason::NotPaid`].
    pub fn require_payment(&self) -> Result<(), Reason> {
        if self.result.is_success() { Ok(()) } else { Err(Reason::NotPaid) }
    }
}

impl Receipt {
    fn decode_fields(input: &mut Reader<'_>) -> Result<Receipt, Reason> {
        let body = Body::from_bytes(input.bytes(BODY_BYTES_MAX)?, BODY_BYTES_MAX)?;
        let witness = Witness::from_bytes(input.bytes(WITNESS_BYTES_MAX)?, WITNESS_BYTES_MAX)?;
        Ok(Receipt {
            transaction: Transaction { body, witness },
            result: TransactionResult::decode(input)?,
            path: MerklePath::decode(input)?,
            header: Header::decode(input)?,
            descendants: input.list(DESCENDANTS_MAX)?,
            finality: FinalityCertificate::decode(input)?,
            changes: Vec::new(),
        })
    }
}

impl Codec for Receipt {
    fn encode(&self, out: &mut Writer) {
        match self.changes.is_empty() {
            true => out.array(8).u64(RECEIPT_VERSION),
            false => out.array(9).u64(RECEIPT_VERSION_CHANGES),
        };
        out.bytes(&self.transaction.body.to_bytes()).bytes(&self.transaction.witness.to_bytes());
        out.value(&self.result).value(&self.path).value(&self.header);
        out.list(&self.descendants).value(&self.finality);
        if !self.changes.is_empty() {
            out.list(&self.changes);
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        let fields = input.array(usize::MAX)?;
        match (fields, input.u64()?) {
            (8, RECEIPT_VERSION) => Receipt::decode_fields(input),
            (9, RECEIPT_VERSION_CHANGES) => {
                let receipt = Receipt::decode_fields(input)?;
                let changes: Vec<SetChange> = input.list(CHANGES_MAX)?;
                if changes.is_empty() {
                    Err(Reason::ListEmpty)
                } else {
                    Ok(Receipt { changes, ..receipt })
                }
            }
            (_, RECEIPT_VERSION | RECEIPT_VERSION_CHANGES) => Err(Reason::Malformed),
            _ => Err(Reason::VersionUnknown),
        }
    }
}

impl Codec for SetChange {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.0);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(8)?;
        if input.u64()? != RECEIPT_VERSION {
            return Err(Reason::VersionUnknown);
        }
        Receipt::decode_fields(input).map(SetChange)
    }
}

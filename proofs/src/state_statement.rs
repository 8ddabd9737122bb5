//! A statement: what stood in the state at a checkpoint, verified offline from the genesis file alone.
//!
//! Invariant: as with a receipt nothing is trusted but the genesis. A quorum of the set of its epoch
//! signed a header; the one that holds the checkpoint's root is that one or an ancestor of it; every
//! proof leads to that root.

use tallystick_kernel::limits::{GENESIS_CURRENCIES_MAX, RECEIPT_BYTES_MAX};
use tallystick_kernel::{Codec, Digest, Reader, Reason, TimeMs, Writer};

use crate::certified::Certified;
use crate::finality::FinalityCertificate;
use crate::genesis::Genesis;
use crate::header::Header;
use crate::receipt::{CHANGES_MAX, DESCENDANTS_MAX, SetChange};
use crate::state_proof::StateProof;

/// The version of the encoding.
pub const STATEMENT_VERSION: u64 = 1;
/// Entries of one statement at most: an account, and what it holds of each currency.
pub const PROOFS_MAX: usize = 1 + GENESIS_CURRENCIES_MAX;

/// `[1, proofs, header, descendants, finality, changes]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateStatement {
    /// What stood under some keys, or that nothing did.
    pub proofs: Vec<StateProof>,
    /// A header that holds the checkpoint's root.
    pub header: Header,
    /// Headers that follow `header` one by one; empty when it has a certificate of its own.
    pub descendants: Vec<Header>,
    /// The proof that the last of `descendants`, or `header` itself, is final.
    pub finality: FinalityCertificate,
    /// Every change of the validator set from genesis to the certified header's epoch, in order.
    pub changes: Vec<SetChange>,
}

/// What a verified statement says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedStatement {
    /// The height of the checkpoint.
    pub checkpoint: u64,
    /// Its root.
    pub root: Digest,
    /// The time of the header that holds the root.
    pub reported: TimeMs,
    /// The keys with what stood under each; none where nothing did.
    pub entries: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl StateStatement {
    /// Reads a statement of at most 256 KiB.
    pub fn read(bytes: &[u8]) -> Result<StateStatement, Reason> {
        StateStatement::from_bytes(bytes, RECEIPT_BYTES_MAX)
    }

    /// Verifies everything, in this order of precedence: there is something stated
    /// ([`Reason::ListEmpty`]), each proof leads to the header's root ([`Reason::PathInvalid`],
    /// [`Reason::RootMismatch`]), the changes of the validator set, the descendants and the
    /// certificate, as with a receipt.
    pub fn verify(&self, genesis: &Genesis) -> Result<VerifiedStatement, Reason> {
        if self.proofs.is_empty() {
            return Err(Reason::ListEmpty);
        }
        let root = self.header.checkpoint_root;
        self.proofs.iter().try_for_each(|proof| proof.verify(&root))?;
        let certified = Certified {
            header: &self.header,
            descendants: &self.descendants,
            finality: &self.finality,
        };
        certified.verify_from(genesis, &self.changes)?;
        let executed = self.header.executed_height;
        let entry = |proof: &StateProof| (proof.key.clone(), proof.value().map(<[u8]>::to_vec));
        Ok(VerifiedStatement {
            checkpoint: executed - executed % genesis.parameters.checkpoint_interval.max(1),
            root,
            reported: self.header.time,
            entries: self.proofs.iter().map(entry).collect(),
        })
    }
}

impl Codec for StateStatement {
    fn encode(&self, out: &mut Writer) {
        out.array(6).u64(STATEMENT_VERSION).list(&self.proofs).value(&self.header);
        out.list(&self.descendants).value(&self.finality).list(&self.changes);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(6)?;
        if input.u64()? != STATEMENT_VERSION {
            return Err(Reason::VersionUnknown);
        }
        Ok(StateStatement {
            proofs: input.list(PROOFS_MAX)?,
            header: Header::decode(input)?,
            descendants: input.list(DESCENDANTS_MAX)?,
            finality: FinalityCertificate::decode(input)?,
            changes: input.list(CHANGES_MAX)?,
        })
    }
}

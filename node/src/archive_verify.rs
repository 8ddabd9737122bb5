//! Archives: blocks that a node gave up, in files that anyone verifies from the genesis file.
//!
//! `tallystick-archive-1`, a line feed, then parts: a head, and chunks of the node's own keys and
//! values as a snapshot has them. Each block stands in its turn, followed by its certificate where it
//! has one of its own, and for each entry by the body and the result. The head holds the headers that
//! follow up to one that is certified and reports the last block's results; what else those report
//! stands at the end. So each file is whole for itself, and one follows on the other.

use std::collections::BTreeMap;
use std::io::Read;

use tallystick_kernel::limits::{BLOCK_ENTRIES_MAX, RECEIPT_BYTES_MAX, TRANSACTION_BYTES_MAX};
use tallystick_kernel::{Codec, NetworkId, Reader, Reason, Writer};
use tallystick_ledger::receipts::results_root;
use tallystick_ledger::{entry_of, genesis_header, state_key};
use tallystick_proofs::certified::{self, Certified};
use tallystick_proofs::finality::FinalityCertificate;
use tallystick_proofs::genesis::Genesis;
use tallystick_proofs::header::Header;
use tallystick_proofs::receipt::{CHANGES_MAX, DESCENDANTS_MAX, SetChange};
use tallystick_proofs::result::TransactionResult;
use tallystick_proofs::transaction::Transaction;
use tallystick_proofs::validator_sets::KnownSets;

use crate::block::{BLOCK_BYTES_MAX, Block};
use crate::file_parts::read_part;
use crate::keys;
use crate::snapshot::{CHUNK_BYTES_MAX, Pair, decode_chunk};

/// What a file begins with.
pub const MAGIC: &[u8] = b"tallystick-archive-1\n";
/// The version of the head's encoding.
pub const ARCHIVE_VERSION: u64 = 1;
/// Bytes of a head at most.
pub const HEAD_BYTES_MAX: usize = RECEIPT_BYTES_MAX + DESCENDANTS_MAX * 512;
/// Blocks of one file at most.
pub const BLOCKS_MAX: u64 = 4096;
/// Bytes of a stored result or certificate at most.
const RECORD_BYTES_MAX: usize = 16 * 1024;

/// What a file claims to be: `[version, network, from, to, descendants, finality, changes]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveHead {
    /// The network.
    pub network: NetworkId,
    /// The height of the first block.
    pub from: u64,
    /// The height of the last block.
    pub to: u64,
    /// Headers that follow on the last block, up to one with a certificate of its own above all that
    /// are needed to report its results.
    pub descendants: Vec<Header>,
    /// The proof that the last of these, or the last block itself, is final.
    pub finality: FinalityCertificate,
    /// Every change of the validator set up to that header's epoch, in order.
    pub changes: Vec<SetChange>,
}

/// What files that follow on each other say, once they are verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The first block.
    pub from: u64,
    /// The last block.
    pub to: u64,
    /// How many files.
    pub files: u64,
    /// How many transactions.
    pub transactions: u64,
    /// From which height on every result is under a header: those of the first blocks are not, where
    /// the headers before them are not here.
    pub results_from: u64,
}

/// Verifies one file after the other.
pub struct Verification<'g> {
    genesis: &'g Genesis,
    facts: Facts,
    /// The last header.
    tip: Option<Header>,
    /// Results that no header has reported yet, by height.
    results: BTreeMap<u64, Vec<TransactionResult>>,
}

impl<'g> Verification<'g> {
    /// Of the archives of a network.
    pub fn new(genesis: &'g Genesis) -> Verification<'g> {
        Verification { genesis, facts: Facts::default(), tip: None, results: BTreeMap::new() }
    }

    /// What was verified so far.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The first block of the next file; none before the first file.
    pub fn next(&self) -> Option<u64> {
        self.tip.as_ref().map(|tip| tip.height + 1)
    }

    /// Verifies the file that follows. When it is refused, nothing that was said before holds for
    /// what comes after it.
    ///
    /// Returns [`Reason::Malformed`] for another file or one that is cut, the reasons of decoding,
    /// [`Reason::WrongNetwork`], [`Reason::HeaderMismatch`] when a block is missing or does not follow
    /// on its parent, [`Reason::ReceiptMismatch`] for bodies and results that belong to no entry,
    /// [`Reason::RootMismatch`] for results that no header reports, and the reasons of certificates.
    pub fn take(&mut self, input: &mut impl Read) -> Result<(), Reason> {
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic).map_err(|_| Reason::Malformed)?;
        if magic != MAGIC {
            return Err(Reason::Malformed);
        }
        let head = ArchiveHead::from_bytes(&read_part(input, HEAD_BYTES_MAX)?, HEAD_BYTES_MAX)?;
        if head.network != self.genesis.network() {
            return Err(Reason::WrongNetwork);
        }
        let is_next = self.next().is_none_or(|next| next == head.from);
        let is_within = (1..=BLOCKS_MAX).contains(&(head.to.saturating_sub(head.from) + 1));
        if !is_next || head.from == 0 || head.to < head.from || !is_within {
            return Err(Reason::HeaderMismatch);
        }
        if self.tip.is_none() {
            (self.facts.from, self.facts.results_from) = (head.from, head.from);
            self.tip = (head.from == 1).then(|| genesis_header(self.genesis));
        }
        let sets = certified::follow(self.genesis, &head.changes)?;
        let mut pairs = Pairs { input, chunk: Vec::new().into_iter() };
        for height in head.from..=head.to {
            self.take_block(height, &sets, &mut pairs)?;
        }
        self.check_last_results(&head, &mut pairs)?;
        pairs.end()?;
        let Some(header) = &self.tip else { return Err(Reason::HeaderMismatch) };
        let ArchiveHead { descendants, finality, changes, .. } = &head;
        Certified { header, descendants, finality }.verify_from(self.genesis, changes)?;
        self.facts.files += 1;
        Ok(())
    }

    fn take_block(
        &mut self,
        height: u64,
        sets: &KnownSets,
        pairs: &mut Pairs<'_, impl Read>,
    ) -> Result<(), Reason> {
        let bytes = pairs.value(&keys::block(height), Reason::HeaderMismatch)?;
        let block = Block::from_bytes(&bytes, BLOCK_BYTES_MAX)?;
        let header = &block.header;
        let follows = self.tip.as_ref().is_none_or(|tip| header.previous == tip.id());
        if header.height != height || !follows {
            return Err(Reason::HeaderMismatch);
        }
        if let Some(bytes) = pairs.value_if(&keys::certificate(height))? {
            let finality = &FinalityCertificate::from_bytes(&bytes, RECORD_BYTES_MAX)?;
            Certified { header, descendants: &[], finality }.verify(self.genesis, sets)?;
        }
        let mut results = Vec::new();
        for (index, entry) in (0..).zip(&block.entries) {
            let bytes = pairs.value(&keys::body(entry), Reason::ReceiptMismatch)?;
            let body = Transaction::from_bytes(&bytes, TRANSACTION_BYTES_MAX)?;
            let bytes = pairs.value(&keys::result(&entry.id), Reason::ReceiptMismatch)?;
            let result = TransactionResult::from_bytes(&bytes, RECORD_BYTES_MAX)?;
            let (id, witness_hash, failure) = (entry.id, entry.witness_hash, result.failure);
            let expected = TransactionResult { id, witness_hash, height, index, failure };
            if entry_of(&body) != *entry || result != expected {
                return Err(Reason::ReceiptMismatch);
            }
            results.push(result);
        }
        self.facts.transactions += results.len() as u64;
        self.results.insert(height, results);
        if let Some(parent) = self.tip.take() {
            self.check_results(&parent, &block.header)?;
        } else {
            self.facts.results_from = height + 1;
        }
        self.facts.to = height;
        self.tip = Some(block.header);
        Ok(())
    }

    /// The results of the last blocks are reported by the headers that follow, and with them those of
    /// some blocks of the next file.
    fn check_last_results(
        &mut self,
        head: &ArchiveHead,
        pairs: &mut Pairs<'_, impl Read>,
    ) -> Result<(), Reason> {
        let (before, from) = (self.results.clone(), self.facts.results_from);
        let Some(mut parent) = self.tip.clone() else { return Err(Reason::HeaderMismatch) };
        let mut next = head.to + 1;
        for header in &head.descendants {
            while next <= header.executed_height.min(header.height) {
                let bytes = pairs.value(&state_key::results(next), Reason::ReceiptMismatch)?;
                let results = Reader::new(&bytes).list(BLOCK_ENTRIES_MAX)?;
                self.results.insert(next, results);
                next += 1;
            }
            self.check_results(&parent, header)?;
            parent = header.clone();
        }
        if parent.executed_height < head.to {
            return Err(Reason::HeaderMismatch);
        }
        (self.results, self.facts.results_from) = (before, from);
        Ok(())
    }

    /// A header reports the results of the heights above those that its parent reports.
    fn check_results(&mut self, parent: &Header, header: &Header) -> Result<(), Reason> {
        let above = parent.executed_height;
        if header.executed_height < above || header.executed_height >= header.height {
            return Err(Reason::HeaderMismatch);
        }
        if above + 1 >= self.facts.from {
            let unreported = self.results.range(above + 1..);
            let reported = unreported.take_while(|(height, _)| **height <= header.executed_height);
            if results_root(reported.flat_map(|(_, results)| results)) != header.results_root {
                return Err(Reason::RootMismatch);
            }
        } else {
            // Some of what it reports lies before the first file.
            self.facts.results_from = header.executed_height.max(self.facts.from - 1) + 1;
        }
        self.results = self.results.split_off(&(header.executed_height + 1));
        Ok(())
    }
}

/// The pairs of a file, one after the other.
struct Pairs<'i, R> {
    input: &'i mut R,
    chunk: std::vec::IntoIter<Pair>,
}

impl<R: Read> Pairs<'_, R> {
    fn peek(&mut self) -> Result<Option<&Pair>, Reason> {
        if self.chunk.as_slice().is_empty() {
            let mut length = [0; 4];
            let count = self.input.read(&mut length[..1]).map_err(|_| Reason::FileUnreadable)?;
            if count == 0 {
                return Ok(None);
            }
            let mut part = (&length[..1]).chain(&mut *self.input);
            let chunk = read_part(&mut part, CHUNK_BYTES_MAX)?;
            let pairs = decode_chunk(&chunk)?;
            if pairs.is_empty() {
                return Err(Reason::Malformed);
            }
            self.chunk = pairs.into_iter();
        }
        Ok(self.chunk.as_slice().first())
    }

    /// The value of the next pair when it has this key.
    fn value_if(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Reason> {
        let is_next = self.peek()?.is_some_and(|pair| pair.0 == key);
        Ok(if is_next { self.chunk.next().map(|pair| pair.1) } else { None })
    }

    /// The value of the next pair, which must have this key; [`Reason::Malformed`] at the end.
    fn value(&mut self, key: &[u8], otherwise: Reason) -> Result<Vec<u8>, Reason> {
        if self.peek()?.is_none() {
            return Err(Reason::Malformed);
        }
        self.value_if(key)?.ok_or(otherwise)
    }

    fn end(&mut self) -> Result<(), Reason> {
        if self.peek()?.is_none() { Ok(()) } else { Err(Reason::TrailingBytes) }
    }
}

impl Codec for ArchiveHead {
    fn encode(&self, out: &mut Writer) {
        out.array(7).u64(ARCHIVE_VERSION).value(&self.network).u64(self.from).u64(self.to);
        out.list(&self.descendants).value(&self.finality).list(&self.changes);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(7)?;
        if input.u64()? != ARCHIVE_VERSION {
            return Err(Reason::VersionUnknown);
        }
        Ok(ArchiveHead {
            network: NetworkId::decode(input)?,
            from: input.u64()?,
            to: input.u64()?,
            descendants: input.list(DESCENDANTS_MAX)?,
            finality: FinalityCertificate::decode(input)?,
            changes: input.list(CHANGES_MAX)?,
        })
    }
}

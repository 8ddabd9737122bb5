//! What the rest of a process asks of its node.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tallystick_crypto::PublicKey;
use tallystick_kernel::{
    AccountId, Amount, Codec, CurrencyCode, Digest, DurationMs, NetworkId, Reason, Reference,
    ReserveId, TimeMs, TransactionId,
};
use tallystick_ledger::{Account, Admitted, Currency, Governance, Reserve, receipts};
use tallystick_proofs::acknowledgement::AcknowledgementCertificate;
use tallystick_proofs::finality::FinalityCertificate;
use tallystick_proofs::genesis::Parameters;
use tallystick_proofs::header::Entry;
use tallystick_proofs::receipt::Receipt;
use tallystick_proofs::result::TransactionResult;
use tallystick_proofs::transaction::Transaction;
use tokio::sync::{Notify, oneshot, watch};

use crate::archive;
use crate::block::Block;
use crate::counted::CHANNELS;
use crate::history::History;
use crate::intake::{Answers, Batch, Purpose, Sender};
use crate::keys;
use crate::kv::LedgerView;
use crate::locked_reserves::{self, BEFORE_ALL};
use crate::shared::Shared;
use crate::snapshot_source::Source;

/// How long a submission waits for a quorum's acknowledgement.
const ACKNOWLEDGEMENT_WAIT: Duration = Duration::from_secs(2);

/// How a submitted transaction was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmissionOutcome {
    /// A quorum stored it durably.
    Acknowledged,
    /// It is durable here; a quorum has not said so in time.
    StoredHere,
    /// It came before; this is what became of it so far.
    First(TransactionStatus),
    /// It was refused.
    Refused(Reason),
}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    /// Never seen here.
    Unknown,
    /// Stored, not in a final block yet.
    Pending {
        /// Whether a quorum has stored it.
        acknowledged: bool,
    },
    /// Executed.
    Final {
        /// What became of it.
        result: TransactionResult,
        /// The height of the header that reports it; then there is a receipt.
        reported_in: Option<u64>,
    },
    /// It was not included in time and never will be.
    Expired,
}

/// What an account has of one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The currency.
    pub currency: CurrencyCode,
    /// What is free.
    pub free: Amount,
    /// The sum of its reserves.
    pub reserved: Amount,
}

/// How a node sees its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkStatus {
    /// The network.
    pub network: NetworkId,
    /// The last executed height.
    pub height: u64,
    /// What the last final header reports as executed.
    pub reported_height: u64,
    /// The time of the last executed header.
    pub time: TimeMs,
    /// The height of the last checkpoint.
    pub checkpoint_height: u64,
    /// The root of the last checkpoint.
    pub checkpoint_root: Digest,
    /// The epoch of the next block.
    pub epoch: u64,
    /// The version of the rules that the next block follows.
    pub rules_version: u64,
    /// How many validators there are.
    pub validators: usize,
    /// How many must agree.
    pub quorum: usize,
    /// How many other validators were heard lately.
    pub connected: usize,
    /// Transactions that wait for a block.
    pub pool: usize,
}

/// What the operators have decided, and where the chain is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decisions {
    /// The height of the next block.
    pub height: u64,
    /// Its epoch.
    pub epoch: u64,
    /// The network's parameters.
    pub parameters: Parameters,
    /// All sets of validators and all versions of the rules.
    pub governance: Governance,
    /// The newest version of the rules that this program knows.
    pub known_rules: u64,
}

/// A handle to a running node; cheap to clone, usable from any runtime.
#[derive(Clone)]
pub struct NodeHandle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) stop: Arc<Notify>,
}

pub(crate) fn system_time() -> TimeMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl NodeHandle {
    /// Submits transactions in their canonical bytes and waits, two seconds at most, for a quorum to
    /// store them; answers each in order.
    ///
    /// `client` is whatever tells clients apart: each has a lane of its own, served in turn.
    /// [`Reason::SenderQuota`] when this client has too much waiting, [`Reason::PoolFull`] when the
    /// node is saturated; [`Reason::NotReady`] when it stops.
    pub async fn submit(
        &self,
        client: u128,
        transactions: &[Vec<u8>],
    ) -> Vec<(Option<TransactionId>, SubmissionOutcome)> {
        let answers = self.offer(client, transactions).await;
        let deadline = tokio::time::Instant::now() + ACKNOWLEDGEMENT_WAIT;
        let mut outcomes = Vec::with_capacity(answers.len());
        for (id, answer) in answers {
            outcomes.push(match (id, answer) {
                (Some(id), answer) => (Some(id), self.outcome(&id, answer, deadline).await),
                (None, Ok(_)) => (None, SubmissionOutcome::Refused(Reason::Internal)),
                (None, Err(reason)) => (None, SubmissionOutcome::Refused(reason)),
            });
        }
        outcomes
    }

    /// Submits transactions in their canonical bytes and waits only until they are durable here;
    /// answers each in order, without an id when it cannot be read or verified.
    ///
    /// The reasons are those of decoding, of [`Transaction::verify`] and of the admission, and those
    /// of [`NodeHandle::submit`].
    pub async fn offer(&self, client: u128, transactions: &[Vec<u8>]) -> Answers {
        let (answer, answered) = oneshot::channel();
        let (purpose, sender) = (Purpose::Submission(answer), Sender::Client(client));
        let batch = Batch { sender, purpose, transactions: transactions.to_vec() };
        let nothing = |reason| transactions.iter().map(|_| (None, Err(reason))).collect();
        match self.shared.put_batch(batch, system_time()) {
            Ok(()) => answered.await.unwrap_or_else(|_| nothing(Reason::NotReady)),
            Err(reason) => nothing(reason),
        }
    }

    async fn outcome(
        &self,
        id: &TransactionId,
        answer: Result<Admitted, Reason>,
        deadline: tokio::time::Instant,
    ) -> SubmissionOutcome {
        match answer {
            Ok(Admitted::New) => {}
            Ok(Admitted::AlreadyHere) | Err(Reason::AlreadyExecuted) => {
                return SubmissionOutcome::First(self.status(id));
            }
            Err(reason) => return SubmissionOutcome::Refused(reason),
        }
        let mut watch = self.shared.watch();
        loop {
            watch.mark_unchanged();
            match self.status(id) {
                TransactionStatus::Pending { acknowledged: false } => {}
                _ => return SubmissionOutcome::Acknowledged,
            }
            if tokio::time::timeout_at(deadline, watch.changed()).await.is_err() {
                return SubmissionOutcome::StoredHere;
            }
        }
    }

    /// Where a transaction stands.
    pub fn status(&self, id: &TransactionId) -> TransactionStatus {
        let core = self.shared.core();
        if !core.ending.contains_key(id)
            && let Ok(Some(result)) = archive::result(core.kv.as_ref(), id)
        {
            let reported_in = archive::reported_in(core.kv.as_ref(), result.height).unwrap_or(None);
            return TransactionStatus::Final { result, reported_in };
        }
        if core.is_pending(id) {
            return TransactionStatus::Pending { acknowledged: core.is_acknowledged(id) };
        }
        match core.kv.get(&keys::expired(id)) {
            Ok(Some(_)) => TransactionStatus::Expired,
            _ => TransactionStatus::Unknown,
        }
    }

    /// What became of the transactions of an executed height, from what is stored alone; empty for a
    /// height that is not executed.
    pub fn results(&self, height: u64) -> Result<Vec<TransactionResult>, Reason> {
        let kv = Arc::clone(&self.shared.core().kv);
        receipts::results_at(&LedgerView(kv.as_ref()), height)
    }

    /// Waits until a transaction is final and reported, or has expired, for `limit` at most.
    pub async fn wait_final(&self, id: &TransactionId, limit: DurationMs) -> TransactionStatus {
        let deadline = tokio::time::Instant::now() + Duration::from_millis(limit.0);
        let mut watch = self.shared.watch();
        loop {
            watch.mark_unchanged();
            let status = self.status(id);
            let ended = match status {
                TransactionStatus::Final { .. } => {
                    self.receipt(id).is_ok_and(|found| found.is_some())
                }
                TransactionStatus::Expired => true,
                _ => false,
            };
            if ended || tokio::time::timeout_at(deadline, watch.changed()).await.is_err() {
                return status;
            }
        }
    }

    /// The receipt of a transaction; none until it is reported and certified.
    pub fn receipt(&self, id: &TransactionId) -> Result<Option<Receipt>, Reason> {
        let kv = Arc::clone(&self.shared.core().kv);
        archive::receipt(kv.as_ref(), id)
    }

    /// The acknowledgement certificate of a transaction that waits.
    pub fn acknowledgement(&self, id: &TransactionId) -> Option<AcknowledgementCertificate> {
        self.shared.core().acknowledgements.certificate(id)
    }

    /// An account, with its free balances and the sums of its reserves.
    pub fn account(&self, id: &AccountId) -> Option<(Account, Vec<Balance>)> {
        let core = self.shared.core();
        let account = core.state.account(id)?.clone();
        let mut balances: Vec<Balance> = Vec::new();
        for (code, _) in core.state.currencies() {
            let reserved = core.state.reserved(id, code);
            let free = core.state.free(id, code);
            if !free.is_zero() || !reserved.is_zero() {
                balances.push(Balance { currency: *code, free, reserved });
            }
        }
        Some((account, balances))
    }

    /// Reserves of an account after `after`, in the order of their ids, at most `count_max`.
    pub fn reserves(
        &self,
        account: &AccountId,
        after: Option<&ReserveId>,
        count_max: usize,
    ) -> Vec<(ReserveId, Reserve)> {
        let core = self.shared.core();
        let reserves = core.state.reserves_after(account, after.unwrap_or(&BEFORE_ALL));
        reserves.take(count_max).map(|(id, reserve)| (id, reserve.clone())).collect()
    }

    /// Those of an account's reserves after `after` that are locked to a mandate, in the order of
    /// their ids, at most `count_max`.
    ///
    /// One call looks at [`LOOKED_AT_MAX`](locked_reserves::LOOKED_AT_MAX) reserves: where more may follow, it gives the one to go on
    /// after, even when it found nothing.
    pub fn reserves_locked(
        &self,
        account: &AccountId,
        mandate: &PublicKey,
        after: Option<&ReserveId>,
        count_max: usize,
    ) -> (Vec<(ReserveId, Reserve)>, Option<ReserveId>) {
        let core = self.shared.core();
        let reserves = core.state.reserves_after(account, after.unwrap_or(&BEFORE_ALL));
        locked_reserves::find(reserves, mandate, count_max)
    }

    /// A currency.
    pub fn currency(&self, code: &CurrencyCode) -> Option<Currency> {
        self.shared.core().state.currency(code).copied()
    }

    /// Successful transactions that paid `payee` under `reference`, at most `count_max`.
    pub fn by_reference(
        &self,
        payee: &AccountId,
        reference: &Reference,
        count_max: usize,
    ) -> Result<Vec<TransactionId>, Reason> {
        let kv = Arc::clone(&self.shared.core().kv);
        receipts::by_reference(&LedgerView(kv.as_ref()), payee, reference, count_max)
    }

    /// A final block with its certificate, where it has one of its own.
    pub fn block(
        &self,
        height: u64,
    ) -> Result<Option<(Block, Option<FinalityCertificate>)>, Reason> {
        let kv = Arc::clone(&self.shared.core().kv);
        let Some(block) = archive::block(kv.as_ref(), height)? else { return Ok(None) };
        Ok(Some((block, archive::certificate(kv.as_ref(), height)?)))
    }

    /// The transaction behind an entry of an executed block, from what is stored alone.
    pub fn transaction(&self, entry: &Entry) -> Result<Option<Arc<Transaction>>, Reason> {
        Ok(self.history().transaction(entry)?.map(Arc::new))
    }

    /// The executed blocks, to be read apart from what the node does.
    pub fn history(&self) -> History {
        History(Arc::clone(&self.shared.core().kv))
    }

    /// A snapshot of the last checkpoint that a certified header reports; reads the whole state.
    /// [`Reason::NotReady`] when there is none yet.
    pub fn snapshot(&self) -> Result<Source, Reason> {
        let offer = self.shared.core().snapshot_offer();
        offer.prepare()
    }

    /// The genesis file's bytes.
    pub fn genesis(&self) -> Vec<u8> {
        self.shared.core().genesis.to_bytes()
    }

    /// How the node sees its network.
    pub fn network_status(&self) -> NetworkStatus {
        let connected = self.shared.connected(system_time());
        let core = self.shared.core();
        let validators = core.state.governance().validators(core.state.next_epoch());
        NetworkStatus {
            network: core.network,
            height: core.tip.height,
            reported_height: core.tip.executed_height,
            time: core.tip.time,
            checkpoint_height: core.checkpoint_height(),
            checkpoint_root: core.checkpoint_root(),
            epoch: core.epoch(),
            rules_version: core.state.governance().rules_version(core.tip.height + 1),
            validators: validators.count(),
            quorum: validators.quorum(),
            connected,
            pool: core.pool.len(),
        }
    }

    /// What the operators have decided so far, who votes now, and the newest rules that this program
    /// knows.
    pub fn decisions(&self) -> Decisions {
        let core = self.shared.core();
        let governance = core.state.governance().clone();
        let (height, epoch) = (core.tip.height + 1, core.epoch());
        let parameters = core.genesis.parameters.clone();
        Decisions { height, epoch, parameters, governance, known_rules: core.rules.version_max }
    }

    /// Ready means: a first block is final, and a quorum is there. [`Reason::NotReady`] otherwise.
    pub fn ready(&self) -> Result<(), Reason> {
        let status = self.network_status();
        let present = status.connected + 1 >= status.quorum;
        if status.height > 0 && present { Ok(()) } else { Err(Reason::NotReady) }
    }

    /// Adds up all money again, and compares: [`Reason::NotConserved`].
    pub fn recount(&self) -> Result<(), Reason> {
        self.shared.core().state.recount()
    }

    /// Bytes of messages that this node has sent to others since it started, by channel.
    pub fn sent_bytes(&self) -> [(&'static str, u64); CHANNELS.len()] {
        let sent = self.shared.sent().so_far();
        std::array::from_fn(|channel| (CHANNELS[channel], sent[channel]))
    }

    /// How often two locks were held at once; not zero is a fault of ours that may end in a
    /// standstill.
    pub fn overlaps(&self) -> u64 {
        self.shared.overlaps()
    }

    /// A receiver that wakes whenever something was stored, acknowledged or executed.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.shared.watch()
    }

    /// The last height that is final here, executed or not.
    pub fn finals(&self) -> watch::Receiver<u64> {
        self.shared.finals()
    }

    /// Asks the node to stop; [`crate::engine::Running::join`] waits until it has.
    pub fn shutdown(&self) {
        self.stop.notify_one();
    }
}

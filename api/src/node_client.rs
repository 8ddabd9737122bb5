//! A client of a network that turns to another node when one is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tallystick_kernel::{AccountId, CurrencyCode, DurationMs, Reason, Reference, TransactionId};

use crate::client::{Client, DEADLINE, Repeat};
use crate::error::ApiError;
use crate::json::{Bytes, Page};
use crate::node::{
    Account, Block, CBOR, Checkpoint, Currency, NetworkStatus, ReferenceAnswer, Reserve,
    SubmitAnswer, SubmitRequest, TransactionStatus, Validators, WAIT_MAX,
};

/// A client of one network by any of its nodes: a call that finds a node away goes to the next,
/// and later calls begin with the node that answered last.
#[derive(Clone)]
pub struct NodeClient {
    nodes: Vec<Client>,
    preferred: Arc<AtomicUsize>,
}

impl NodeClient {
    /// A client of the network that these nodes serve.
    ///
    /// Returns [`Reason::ListEmpty`] for no node, and the reasons of [`Client::new`].
    pub fn new<U: AsRef<str>>(urls: &[U]) -> Result<NodeClient, Reason> {
        if urls.is_empty() {
            return Err(Reason::ListEmpty);
        }
        let nodes = urls.iter().map(|url| Client::new(url.as_ref())).collect::<Result<_, _>>()?;
        Ok(NodeClient { nodes, preferred: Arc::default() }.with_deadline(DEADLINE))
    }

    /// The same with another deadline for each call; when there are several nodes, half of it for
    /// each of them, so that one that hangs does not use it up.
    #[must_use]
    pub fn with_deadline(self, deadline: DurationMs) -> NodeClient {
        let several = self.nodes.len() > 1;
        let for_each = |node: Client| match several {
            true => node.with_deadline(DurationMs(deadline.0 / 2)).with_attempts(1),
            false => node.with_deadline(deadline),
        };
        let nodes = self.nodes.into_iter().map(for_each).collect();
        NodeClient { nodes, preferred: self.preferred }
    }

    /// The network's state as a node sees it.
    pub async fn network(&self) -> Result<NetworkStatus, ApiError> {
        self.any(|node| async move { node.get("/v1/network").await }).await
    }

    /// Who votes now and later, and by which rules.
    pub async fn validators(&self) -> Result<Validators, ApiError> {
        self.any(|node| async move { node.get("/v1/validators").await }).await
    }

    /// The genesis file. To be trusted it must come from elsewhere: compare the network's id.
    pub async fn genesis(&self) -> Result<Vec<u8>, ApiError> {
        self.any(|node| async move { node.get_bytes("/v1/genesis", CBOR).await }).await
    }

    /// Submits signed transactions (canonical bytes); harmless to repeat.
    pub async fn submit(&self, transactions: Vec<Vec<u8>>) -> Result<SubmitAnswer, ApiError> {
        let request =
            &SubmitRequest { transactions: transactions.into_iter().map(Bytes).collect() };
        self.any(
            |node| async move { node.post("/v1/transactions", request, Repeat::Harmless).await },
        )
        .await
    }

    /// Where a transaction stands now.
    pub async fn transaction(&self, id: &TransactionId) -> Result<TransactionStatus, ApiError> {
        let path = &format!("/v1/transactions/{id}");
        self.any(|node| async move { node.get(path).await }).await
    }

    /// Waits until a transaction is final and reported, or expired, or `wait` is over; the
    /// caller MUST look at the state.
    pub async fn wait_final(
        &self,
        id: &TransactionId,
        wait: DurationMs,
    ) -> Result<TransactionStatus, ApiError> {
        let wait = wait.min(WAIT_MAX);
        let path = &format!("/v1/transactions/{id}?wait=final&timeout_ms={}", wait.0);
        self.any(|node| async move { node.get_waiting(path, wait).await }).await
    }

    /// The proof that a quorum stored a transaction that still waits; [`Reason::NotFound`] before
    /// and after. The caller MUST verify it.
    pub async fn acknowledgement(&self, id: &TransactionId) -> Result<Vec<u8>, ApiError> {
        let path = &format!("/v1/transactions/{id}/acknowledgement");
        self.any(|node| async move { node.get_bytes(path, CBOR).await }).await
    }

    /// The receipt of a transaction; [`Reason::NotFound`] until it is reported. The caller MUST
    /// verify it.
    pub async fn receipt(&self, id: &TransactionId) -> Result<Vec<u8>, ApiError> {
        let path = &format!("/v1/transactions/{id}/receipt");
        self.any(|node| async move { node.get_bytes(path, CBOR).await }).await
    }

    /// An account with its balances.
    pub async fn account(&self, id: &AccountId) -> Result<Account, ApiError> {
        let path = &format!("/v1/accounts/{id}");
        self.any(|node| async move { node.get(path).await }).await
    }

    /// All reserves of an account, page by page, up to `count_max`.
    pub async fn reserves(
        &self,
        id: &AccountId,
        count_max: usize,
    ) -> Result<Vec<Reserve>, ApiError> {
        self.all_pages(&format!("/v1/accounts/{id}/reserves"), count_max).await
    }

    /// All reserves of an account that are locked to a mandate key (`tlyk1...`).
    pub async fn reserves_locked(
        &self,
        mandate: &str,
        id: &AccountId,
        count_max: usize,
    ) -> Result<Vec<Reserve>, ApiError> {
        self.all_pages(&format!("/v1/mandates/{mandate}/accounts/{id}/reserves"), count_max).await
    }

    /// A currency.
    pub async fn currency(&self, code: &CurrencyCode) -> Result<Currency, ApiError> {
        let path = &format!("/v1/currencies/{code}");
        self.any(|node| async move { node.get(path).await }).await
    }

    /// The transactions that paid `payee` with this reference.
    pub async fn by_reference(
        &self,
        payee: &AccountId,
        reference: &Reference,
    ) -> Result<ReferenceAnswer, ApiError> {
        let path = &format!("/v1/references/{payee}/{reference}");
        self.any(|node| async move { node.get(path).await }).await
    }

    /// A final block.
    pub async fn block(&self, height: u64) -> Result<Block, ApiError> {
        let path = &format!("/v1/blocks/{height}");
        self.any(|node| async move { node.get(path).await }).await
    }

    /// The last checkpoint that a node has taken.
    pub async fn checkpoint(&self) -> Result<Checkpoint, ApiError> {
        self.any(|node| async move { node.get("/v1/checkpoints/latest").await }).await
    }

    /// What an account held at the last checkpoint; [`Reason::NotReady`] until that is certified.
    /// The caller MUST verify it.
    pub async fn account_statement(&self, id: &AccountId) -> Result<Vec<u8>, ApiError> {
        let path = &format!("/v1/accounts/{id}/statement");
        self.any(|node| async move { node.get_bytes(path, CBOR).await }).await
    }

    async fn all_pages(&self, path: &str, count_max: usize) -> Result<Vec<Reserve>, ApiError> {
        let mut reserves: Vec<Reserve> = Vec::new();
        let mut cursor: Option<String> = None;
        while reserves.len() < count_max {
            let path = &match &cursor {
                Some(cursor) => format!("{path}?cursor={cursor}"),
                None => path.to_owned(),
            };
            let page: Page<Reserve> = self.any(|node| async move { node.get(path).await }).await?;
            reserves.extend(page.items);
            match page.next {
                Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
                _ => break,
            }
        }
        reserves.truncate(count_max);
        Ok(reserves)
    }

    /// Asks one node after the other until one answers, twice around at most; a refusal is an
    /// answer.
    async fn any<T, F: Future<Output = Result<T, ApiError>>>(
        &self,
        ask: impl Fn(Client) -> F,
    ) -> Result<T, ApiError> {
        let count = self.nodes.len();
        let first = self.preferred.load(Ordering::Relaxed);
        let rounds = if count > 1 { 2 } else { 1 };
        let mut failure = None;
        let mut timeouts = 0;
        for place in first..first + rounds * count {
            if place == first + count {
                tokio::time::sleep(ROUND_PAUSE).await;
            }
            match ask(self.nodes[place % count].clone()).await {
                Err(error) if error.is_transport() || error.reason == Reason::NotReady => {
                    timeouts += u32::from(error.reason == Reason::Timeout);
                    failure = Some(error);
                }
                answer => {
                    self.preferred.store(place % count, Ordering::Relaxed);
                    return answer;
                }
            }
            // Two halves of the deadline are spent.
            if timeouts >= 2 {
                break;
            }
        }
        Err(failure.unwrap_or_else(|| ApiError {
            reason: Reason::Unreachable,
            problem: None,
            call: "no node".to_owned(),
            cause: None,
        }))
    }
}

const ROUND_PAUSE: Duration = Duration::from_millis(200);

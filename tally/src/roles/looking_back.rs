//! Looking back through the latest blocks for transactions, as pages and the search of a node do.
//!
//! Invariants: one looks at a time, and apart from the threads that answer requests; a look ends after
//! [`BLOCKS_MAX`] blocks or [`TRANSACTIONS_MAX`] transactions, whatever it looks for.

use std::sync::Arc;

use tallystick_kernel::Reason;
use tallystick_node::history::History;
use tallystick_proofs::header::Entry;
use tallystick_proofs::transaction::Transaction;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Blocks that one look reads at most.
pub const BLOCKS_MAX: usize = 256;
/// Transactions that one look reads at most.
pub const TRANSACTIONS_MAX: usize = 2048;

/// The turn to read blocks for a page.
#[derive(Clone)]
pub struct Turn(Arc<Semaphore>);

impl Turn {
    /// Nobody reads yet.
    pub fn new() -> Turn {
        Turn(Arc::new(Semaphore::new(1)))
    }

    /// Waits for the turn, and reads apart from the threads that answer requests.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, Reason> + Send + 'static,
    ) -> Result<T, Reason> {
        let turn = Arc::clone(&self.0).acquire_owned().await.map_err(|_| Reason::Internal)?;
        let made = spawn_blocking(move || {
            // Whoever gave up waiting for the page has not ended the reading.
            let _turn = turn;
            read()
        });
        made.await.map_err(|_| Reason::Internal)?
    }
}

/// A transaction that was looked for.
pub struct Found {
    /// Its place in the block.
    pub entry: Entry,
    /// The transaction.
    pub transaction: Transaction,
    /// The height of its block.
    pub height: u64,
}

/// What a look found, the newest first, and how far it went.
pub struct Look {
    /// The transactions.
    pub found: Vec<Found>,
    /// How many blocks were looked through, the last of them perhaps not to its end.
    pub blocks: usize,
}

/// What is looked through.
pub trait Blocks {
    /// What an executed block orders.
    fn entries(&self, height: u64) -> Result<Option<Vec<Entry>>, Reason>;
    /// The transaction behind an entry of it.
    fn transaction(&self, entry: &Entry) -> Result<Option<Transaction>, Reason>;
}

impl Blocks for History {
    fn entries(&self, height: u64) -> Result<Option<Vec<Entry>>, Reason> {
        Ok(self.block(height)?.map(|block| block.entries))
    }

    fn transaction(&self, entry: &Entry) -> Result<Option<Transaction>, Reason> {
        History::transaction(self, entry)
    }
}

/// Looks for the `count_max` latest transactions that `is_wanted`, from the height `top` down.
pub fn look(
    blocks: &impl Blocks,
    top: u64,
    count_max: usize,
    is_wanted: impl Fn(&Transaction) -> bool,
) -> Result<Look, Reason> {
    let mut look = Look { found: Vec::new(), blocks: 0 };
    let mut transactions = 0;
    for height in (1..=top).rev().take(BLOCKS_MAX) {
        let Some(entries) = blocks.entries(height)? else { continue };
        look.blocks += 1;
        for entry in entries.iter().rev() {
            if transactions == TRANSACTIONS_MAX || look.found.len() == count_max {
                return Ok(look);
            }
            transactions += 1;
            if let Some(transaction) = blocks.transaction(entry)?
                && is_wanted(&transaction)
            {
                look.found.push(Found { entry: *entry, transaction, height });
            }
        }
    }
    Ok(look)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tallystick_kernel::{AccountId, NetworkId, ReserveId, Salt, TimeMs, TransactionId};
    use tallystick_proofs::action::Action;
    use tallystick_proofs::transaction::{Body, Witness};

    use super::*;

    /// Blocks of so many transactions each, and how many of both were read.
    struct Chain {
        each: usize,
        blocks: Cell<usize>,
        transactions: Cell<usize>,
    }

    impl Chain {
        fn of(each: usize) -> Chain {
            Chain { each, blocks: Cell::new(0), transactions: Cell::new(0) }
        }

        fn read(&self) -> (usize, usize) {
            (self.blocks.get(), self.transactions.get())
        }
    }

    fn entry(height: u64, place: usize) -> Entry {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&height.to_be_bytes());
        id[24..].copy_from_slice(&(place as u64).to_be_bytes());
        Entry { id: TransactionId(id), witness_hash: [0; 32] }
    }

    impl Blocks for Chain {
        fn entries(&self, height: u64) -> Result<Option<Vec<Entry>>, Reason> {
            self.blocks.update(|count| count + 1);
            Ok(Some((0..self.each).map(|place| entry(height, place)).collect()))
        }

        fn transaction(&self, _: &Entry) -> Result<Option<Transaction>, Reason> {
            self.transactions.update(|count| count + 1);
            let body = Body {
                network: NetworkId([0; 32]),
                account: AccountId([1; 32]),
                salt: Salt([0; 16]),
                valid_until: TimeMs(1),
                action: Action::ReserveClose { reserves: vec![ReserveId([3; 32])] },
            };
            Ok(Some(Transaction { body, witness: Witness(Vec::new()) }))
        }
    }

    #[test]
    fn a_look_for_what_is_not_there_ends_after_so_many_transactions_or_blocks() {
        for (each, read, blocks) in [
            (1000, (3, TRANSACTIONS_MAX), 3),
            (TRANSACTIONS_MAX, (2, TRANSACTIONS_MAX), 2),
            (1, (BLOCKS_MAX, BLOCKS_MAX), BLOCKS_MAX),
            (0, (BLOCKS_MAX, 0), BLOCKS_MAX),
        ] {
            let chain = Chain::of(each);
            let look = look(&chain, 5000, 10, |_| false).unwrap();
            assert!(look.found.is_empty());
            assert_eq!((chain.read(), look.blocks), (read, blocks), "{each} in a block");
        }
        // A chain that has just begun is shorter.
        assert_eq!(look(&Chain::of(2), 3, 10, |_| false).unwrap().blocks, 3);
    }

    #[test]
    fn a_look_gives_the_latest_first_and_ends_with_the_last_that_is_asked_for() {
        let chain = Chain::of(2);
        let found = look(&chain, 9, 3, |_| true).unwrap().found;
        let ids: Vec<_> = found.iter().map(|found| (found.height, found.entry)).collect();
        assert_eq!(ids, [(9, entry(9, 1)), (9, entry(9, 0)), (8, entry(8, 1))]);
        assert_eq!(chain.read(), (2, 3));
    }

    #[tokio::test]
    async fn one_reads_at_a_time() {
        let (turn, reading) = (Turn::new(), Arc::new(AtomicUsize::new(0)));
        let read = |_: usize| {
            let reading = Arc::clone(&reading);
            turn.read(move || {
                let others = reading.fetch_add(1, Ordering::SeqCst);
                std::thread::yield_now();
                reading.fetch_sub(1, Ordering::SeqCst);
                Ok(others)
            })
        };
        let others = futures::future::join_all((0..64).map(read)).await;
        assert!(others.iter().all(|others| *others == Ok(0)));
    }
}

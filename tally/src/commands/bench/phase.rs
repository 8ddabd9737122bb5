//! `tally bench phase`: from a proposal to its finality, with bodies that were verified and stored
//! before it against bodies that come with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use tallystick_kernel::{Codec as _, Reason};
use tallystick_node::gossip::BEFORE_WANT;
use tallystick_node::measured::{Bodies, Gate};
use tallystick_node::{NodeHandle, Preset, TransactionStatus};
use tallystick_proofs::transaction::Transaction;
use tokio::sync::watch;

use super::payments::load::{self, Plan};
use super::payments::network::BenchNetwork;
use super::temporary_folder;
use crate::commands::block_on;
use crate::failure::Failure;
use crate::output::Output;

/// `tally bench phase`.
#[derive(Debug, Args)]
pub struct PhaseArgs {
    /// Validators, all in this process.
    #[arg(long, value_name = "N", default_value_t = 4,
        value_parser = clap::value_parser!(u8).range(1..=30))]
    nodes: u8,
    /// Payments of a block; each of these sizes is measured.
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_value = "1,256,2000",
        value_parser = clap::value_parser!(u16).range(1..=4096))]
    sizes: Vec<u16>,
    /// Blocks of each size and kind, in turns.
    #[arg(long, value_name = "N", default_value_t = 15,
        value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Where the nodes write; a temporary folder there is used and removed.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Milliseconds from a proposal to its finality.
#[derive(Clone, Copy, Serialize)]
struct Spread {
    p50_ms: f64,
    p90_ms: f64,
    blocks: usize,
}

#[derive(Clone, Copy, Serialize)]
struct OfSize {
    payments: u16,
    /// Bodies verified and stored before the block.
    before: Spread,
    /// Bodies that come with the block.
    with_block: Spread,
    /// Bodies that each voter asks for; the pause before it asks is part of it.
    asked_for: Spread,
    /// Medians: with the block to before; asked for to before.
    ratio: f64,
    ratio_asked: f64,
}

#[derive(Serialize)]
struct Shown {
    nodes: u8,
    sizes: Vec<OfSize>,
    /// How long a voter waits before it asks for bodies.
    pause_before_asking_ms: u64,
    /// Blocks that were not counted, because their leader's view was given up before.
    dropped: usize,
    cores: usize,
}

/// Runs the workload.
pub fn run(args: &PhaseArgs, output: Output) -> Result<(), Failure> {
    let folder = temporary_folder(args.data.as_deref())?;
    block_on(async {
        let gate = Arc::new(Gate::default());
        let nodes = usize::from(args.nodes);
        let network =
            BenchNetwork::start_measured(nodes, folder.path(), Preset::default(), Some(&gate))
                .await?;
        output.progress("making payers, reserves and signatures");
        let of_round: usize = args.sizes.iter().map(|size| usize::from(*size)).sum();
        let payments = of_round * KINDS.len() * usize::from(args.rounds);
        let payments = load::prepare(&network, Plan { payments, hot: false }).await?;
        output.progress(&format!("{} payments", payments.len()));
        let mut bench = Bench { network, gate, rest: payments.into_iter(), dropped: 0 };
        let sizes = bench.measure(&args.sizes, args.rounds).await?;
        let dropped = bench.dropped;
        bench.network.stop()?;
        let shown = Shown {
            nodes: args.nodes,
            sizes,
            pause_before_asking_ms: BEFORE_WANT.as_millis() as u64,
            dropped,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        };
        output.show(&shown, text);
        Ok(())
    })
}

struct Bench {
    network: BenchNetwork,
    gate: Arc<Gate>,
    rest: std::vec::IntoIter<Transaction>,
    dropped: usize,
}

impl Bench {
    async fn measure(&mut self, sizes: &[u16], rounds: u16) -> Result<Vec<OfSize>, Failure> {
        let mut times: Vec<[Vec<f64>; KINDS.len()]> =
            sizes.iter().map(|_| Default::default()).collect();
        self.gate.close();
        for round in 0..usize::from(rounds) {
            for (size, times) in sizes.iter().zip(&mut times) {
                for turn in 0..KINDS.len() {
                    let kind = (round + turn) % KINDS.len();
                    let payments: Vec<Transaction> =
                        self.rest.by_ref().take(usize::from(*size)).collect();
                    match self.one(KINDS[kind], &payments).await? {
                        Some(time) => times[kind].push(time),
                        None => self.dropped += 1,
                    }
                }
            }
        }
        self.gate.open();
        Ok(sizes.iter().zip(times).map(|(size, times)| of_size(*size, times)).collect())
    }

    /// One block of exactly these payments: milliseconds until it was final at its proposer.
    async fn one(&self, kind: Bodies, payments: &[Transaction]) -> Result<Option<f64>, Failure> {
        let mut waiting = self.gate.waiting();
        let leader = seen(&mut waiting, |leader| *leader).await?;
        let node = self.network.node_of(&leader).ok_or(Reason::Internal)?;
        self.gate.carry(kind);
        let bytes: Vec<Vec<u8>> = payments.iter().map(|payment| payment.to_bytes()).collect();
        for (_, answer) in node.offer(0, &bytes).await {
            answer?;
        }
        if kind == Bodies::Before {
            for other in self.network.handles() {
                until(&other, |node| payments.iter().all(|one| is_stored(node, one))).await?;
            }
        }
        tokio::time::sleep(QUIET).await;
        let mut finals = node.finals();
        let mut proposed = self.gate.let_one_pass();
        let proposed = seen(&mut proposed, |proposed| *proposed).await?;
        seen(&mut finals, |height| (*height >= proposed.height).then_some(())).await?;
        let time = Instant::now().duration_since(proposed.at).as_secs_f64() * 1000.0;
        let is_whole = proposed.entries == payments.len();
        if !is_whole {
            self.gate.open();
        }
        for node in self.network.handles() {
            until(&node, |node| payments.iter().all(|one| is_final(node, one))).await?;
        }
        self.gate.carry(Bodies::Before);
        self.gate.close();
        Ok(is_whole.then_some(time))
    }
}

fn is_stored(node: &NodeHandle, payment: &Transaction) -> bool {
    node.status(&payment.id()) != TransactionStatus::Unknown
}

fn is_final(node: &NodeHandle, payment: &Transaction) -> bool {
    matches!(node.status(&payment.id()), TransactionStatus::Final { .. })
}

/// The first value that `wanted` makes something of.
async fn seen<T, U>(
    values: &mut watch::Receiver<T>,
    wanted: impl Fn(&T) -> Option<U>,
) -> Result<U, Failure> {
    let found = async {
        loop {
            if let Some(found) = wanted(&values.borrow_and_update()) {
                return Ok(found);
            }
            values.changed().await.map_err(|_| Reason::NotReady)?;
        }
    };
    let found: Result<U, Reason> =
        tokio::time::timeout(STANDSTILL, found).await.map_err(|_| stands_still())?;
    Ok(found?)
}

/// Waits until a node says yes.
async fn until(node: &NodeHandle, is_so: impl Fn(&NodeHandle) -> bool) -> Result<(), Failure> {
    let mut changed = node.watch();
    loop {
        changed.mark_unchanged();
        if is_so(node) {
            return Ok(());
        }
        let waited = tokio::time::timeout(STANDSTILL, changed.changed()).await;
        waited.map_err(|_| stands_still())?.map_err(|_| Reason::NotReady)?;
    }
}

fn stands_still() -> Failure {
    Failure::new(Reason::Timeout).cause("the network stands still")
}

fn of_size(payments: u16, [before, with_block, asked_for]: [Vec<f64>; KINDS.len()]) -> OfSize {
    let [before, with_block, asked_for] = [before, with_block, asked_for].map(spread);
    let ratio = with_block.p50_ms / before.p50_ms;
    let ratio_asked = asked_for.p50_ms / before.p50_ms;
    OfSize { payments, before, with_block, asked_for, ratio, ratio_asked }
}

fn spread(mut times: Vec<f64>) -> Spread {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (share * times.len() as f64).ceil() as usize;
        times.get(place.saturating_sub(1)).copied().unwrap_or_default()
    };
    Spread { p50_ms: at(0.5), p90_ms: at(0.9), blocks: times.len() }
}

fn text(shown: &Shown) -> String {
    let Shown { nodes, cores, dropped, pause_before_asking_ms: pause, .. } = shown;
    let mut text = format!(
        "From a proposal to its finality, {nodes} nodes, {cores} cores, p50 / p90 in ms\n\
         payments   bodies before      with the block     ratio   asked for, after {pause} ms   ratio\n"
    );
    for size in &shown.sizes {
        let OfSize { payments, ratio, ratio_asked, .. } = size;
        let [before, with_block, asked_for] = [size.before, size.with_block, size.asked_for]
            .map(|spread| format!("{:.1} / {:.1}", spread.p50_ms, spread.p90_ms));
        text.push_str(&format!(
            "{payments:>8}   {before:<17}  {with_block:<17}  {ratio:>5.2}   {asked_for:<22}   \
             {ratio_asked:>5.2}\n"
        ));
    }
    if *dropped > 0 {
        text.push_str(&format!("not counted: {dropped}\n"));
    }
    text
}

const KINDS: [Bodies; 3] = [Bodies::Before, Bodies::With, Bodies::After];
/// What the nodes get to come to rest before a proposal.
const QUIET: Duration = Duration::from_millis(60);
/// Without a change for so long, nothing will change any more.
const STANDSTILL: Duration = Duration::from_secs(30);

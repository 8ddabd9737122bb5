//! `tally bench payments`: signed public payments, durable and final, against the pipeline's limit.

mod load;
mod network;
mod units;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tallystick_kernel::{Codec as _, Reason};

use self::load::{Load, Measured, Plan};
use self::network::BenchNetwork;
use self::units::Units;
use crate::commands::block_on;
use crate::failure::Failure;
use crate::output::Output;

/// `tally bench payments`.
#[derive(Debug, Args)]
pub struct PaymentsArgs {
    /// Validators, all in this process.
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u8).range(1..=30))]
    nodes: u8,
    /// Payments in a run.
    #[arg(long, value_name = "N", default_value_t = 20_000,
        value_parser = clap::value_parser!(u32).range(1024..=200_000))]
    payments: u32,
    /// All pay one merchant.
    #[arg(long)]
    hot: bool,
    /// Payments that are not final at a time.
    #[arg(long, value_name = "N", default_value_t = 8192,
        value_parser = clap::value_parser!(u32).range(1..=60_000))]
    under_way: u32,
    /// Clients at each node; each hands in 128 payments and waits until they are stored.
    #[arg(long, value_name = "N", default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(1..=256))]
    clients: u16,
    /// Stop so many of the nodes before the load begins.
    #[arg(long, value_name = "N", default_value_t = 0)]
    dead: u8,
    /// Hold the load back to so many payments a second.
    #[arg(long, value_name = "N")]
    per_second: Option<u32>,
    /// Where the nodes write; a temporary folder there is used and removed.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Bytes a payment.
#[derive(Clone, Copy, Serialize)]
struct Bytes {
    /// The transaction itself.
    body: f64,
    /// What all nodes together sent for blocks, votes and certificates.
    agreement: f64,
    /// What all nodes together sent.
    all: f64,
}

#[derive(Serialize)]
struct Shown {
    nodes: u8,
    payments: u32,
    hot: bool,
    seconds: f64,
    per_second: f64,
    /// Microseconds a payment, one thread.
    units: Units,
    limit_per_second: f64,
    /// Of the limit; of the limit divided by the nodes, which share this machine.
    ratio: f64,
    of_batched_ed25519: f64,
    blocks: usize,
    blocks_per_second: f64,
    turned_away: usize,
    bytes: Bytes,
    p50_ms: f64,
    p99_ms: f64,
    cores: usize,
}

/// Runs the workload.
pub fn run(args: &PaymentsArgs, output: Output) -> Result<(), Failure> {
    let folder = match &args.data {
        Some(data) => tempfile::tempdir_in(data),
        None => tempfile::tempdir(),
    };
    let folder =
        folder.map_err(|error| Failure::new(Reason::FileUnreadable).cause(error.to_string()))?;
    block_on(async {
        let nodes = usize::from(args.nodes);
        let mut network = BenchNetwork::start(nodes, folder.path()).await?;
        output.progress("making payers, reserves and signatures");
        let plan = Plan { payments: args.payments as usize, hot: args.hot };
        let payments = load::prepare(&network, plan).await?;
        let units = units::measure(&payments, &folder.path().join("units"))?;
        output.progress(&format!("{} payments", payments.len()));
        network.stop_some(usize::from(args.dead))?;
        let load = Load {
            under_way_max: args.under_way as usize,
            per_second: args.per_second.map(f64::from),
            clients: usize::from(args.clients),
        };
        let handles = network.handles();
        let before = network.sent_bytes();
        let measured = load::drive(&handles, &payments, load).await?;
        let after = network.sent_bytes();
        let each = |bytes: u64| bytes as f64 / payments.len() as f64;
        let bytes = Bytes {
            body: each(payments.iter().map(|payment| payment.to_bytes().len() as u64).sum()),
            agreement: each(after.0 - before.0),
            all: each(after.1 - before.1),
        };
        drop(handles);
        network.stop()?;
        output.show(&shown(args, &measured, units, bytes), text);
        Ok(())
    })
}

fn shown(args: &PaymentsArgs, measured: &Measured, units: Units, bytes: Bytes) -> Shown {
    let per_second = measured.latencies_ms.len() as f64 / measured.seconds;
    let at = |share: f64| {
        let place = (share * measured.latencies_ms.len() as f64).ceil() as usize;
        measured.latencies_ms.get(place.saturating_sub(1)).copied().unwrap_or_default()
    };
    Shown {
        nodes: args.nodes,
        payments: args.payments,
        hot: args.hot,
        seconds: measured.seconds,
        per_second,
        units,
        limit_per_second: units.limit(),
        ratio: per_second * f64::from(args.nodes) / units.limit(),
        of_batched_ed25519: per_second / units.verify_limit(),
        blocks: measured.blocks,
        blocks_per_second: measured.blocks as f64 / measured.seconds,
        turned_away: measured.turned_away,
        bytes,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
    }
}

fn text(shown: &Shown) -> String {
    let Shown { nodes, payments, seconds, per_second, units, ratio, cores, .. } = shown;
    let Units { verify, hash, codec, write } = units;
    let (limit, of_batched) = (shown.limit_per_second, shown.of_batched_ed25519);
    let (blocks, per_block) = (shown.blocks, shown.blocks_per_second);
    let (p50, p99, away) = (shown.p50_ms, shown.p99_ms, shown.turned_away);
    let Bytes { body, agreement, all } = shown.bytes;
    format!(
        "{payments} payments, {nodes} nodes, {cores} cores: {per_second:.0} a second ({seconds:.2} s)\n\
         limit         {limit:>9.0} a second: verify {verify:.1} + hash {hash:.1} + codec {codec:.1} \
         + write {write:.1} us\n\
         ratio         {ratio:>9.2} of the limit shared by the nodes\n\
         signatures    {of_batched:>9.2} of batched Ed25519 alone on one core\n\
         blocks        {blocks:>9} with payments, {per_block:.1} a second\n\
         to execution  {p50:>9.0} ms p50, {p99:.0} ms p99\n\
         turned away   {away:>9}\n\
         bytes sent    {all:>9.0} a payment of {body:.0} bytes, {agreement:.0} of them for agreement\n"
    )
}

//! `tally bench payments`: signed public payments, durable and final, against the pipeline's limit.

pub(super) mod load;
pub(super) mod network;
mod units;

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tallystick_kernel::{Codec as _, DurationMs, Reason};
use tallystick_node::Preset;

use self::load::{Load, Measured, Plan};
use self::network::BenchNetwork;
use self::units::Units;
use super::temporary_folder;
use crate::commands::block_on;
use crate::failure::Failure;
use crate::output::Output;
use crate::process::{self, Usage};

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
    /// A node makes a block when so many payments wait, if not before.
    #[arg(long, value_name = "N", default_value_t = 2048)]
    block_entries: u32,
    /// A node makes a block so long after the one before, if not sooner.
    #[arg(long, value_name = "MS", default_value_t = 40)]
    block_interval: u16,
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

/// What the load cost this process, with the nodes, the clients and the follower in it.
#[derive(Clone, Copy, Serialize)]
struct Cost {
    /// Microseconds of processor time a payment and node.
    cpu_us: f64,
    /// Resident memory of the process before and after.
    resident_bytes: [u64; 2],
    /// Bytes on disk a payment and node, the engine's own archives included.
    disk_bytes: f64,
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
    cost: Cost,
    p50_ms: f64,
    p99_ms: f64,
    cores: usize,
}

/// What this process has used and holds.
struct Found {
    usage: Usage,
    disk_bytes: u64,
}

impl Found {
    fn look(folder: &Path) -> Result<Found, Reason> {
        let usage = process::usage(std::process::id()).ok_or(Reason::Internal)?;
        Ok(Found { usage, disk_bytes: process::disk_bytes(folder) })
    }

    fn until(&self, later: Found, payments: usize) -> Cost {
        let cpu_ms = later.usage.cpu_ms.saturating_sub(self.usage.cpu_ms);
        Cost {
            cpu_us: cpu_ms as f64 * 1000.0 / payments as f64,
            resident_bytes: [self.usage.resident_bytes, later.usage.resident_bytes],
            disk_bytes: later.disk_bytes.saturating_sub(self.disk_bytes) as f64 / payments as f64,
        }
    }
}

/// Runs the workload.
pub fn run(args: &PaymentsArgs, output: Output) -> Result<(), Failure> {
    let folder = temporary_folder(args.data.as_deref())?;
    block_on(async {
        let nodes = usize::from(args.nodes);
        let preset = Preset {
            entries: args.block_entries as usize,
            interval: DurationMs(u64::from(args.block_interval)),
            ..Preset::default()
        };
        let mut network = BenchNetwork::start(nodes, folder.path(), preset).await?;
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
        let (before, found) = (network.sent_bytes(), Found::look(folder.path())?);
        let measured = load::drive(&handles, &payments, load).await?;
        let after = network.sent_bytes();
        let cost = found.until(Found::look(folder.path())?, payments.len() * handles.len());
        let each = |bytes: u64| bytes as f64 / payments.len() as f64;
        let bytes = Bytes {
            body: each(payments.iter().map(|payment| payment.to_bytes().len() as u64).sum()),
            agreement: each(after.0 - before.0),
            all: each(after.1 - before.1),
        };
        drop(handles);
        network.stop()?;
        output.show(&shown(args, &measured, units, (bytes, cost)), text);
        Ok(())
    })
}

fn shown(
    args: &PaymentsArgs,
    measured: &Measured,
    units: Units,
    (bytes, cost): (Bytes, Cost),
) -> Shown {
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
        cost,
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
    let Cost { cpu_us, resident_bytes, disk_bytes } = shown.cost;
    let [resident, resident_after] = resident_bytes.map(|bytes| bytes >> 20);
    format!(
        "{payments} payments, {nodes} nodes, {cores} cores: {per_second:.0} a second ({seconds:.2} s)\n\
         limit         {limit:>9.0} a second: verify {verify:.1} + hash {hash:.1} + codec {codec:.1} \
         + write {write:.1} us\n\
         ratio         {ratio:>9.2} of the limit shared by the nodes\n\
         signatures    {of_batched:>9.2} of batched Ed25519 alone on one core\n\
         blocks        {blocks:>9} with payments, {per_block:.1} a second\n\
         to execution  {p50:>9.0} ms p50, {p99:.0} ms p99\n\
         turned away   {away:>9}\n\
         bytes sent    {all:>9.0} a payment of {body:.0} bytes, {agreement:.0} of them for agreement\n\
         cost          {cpu_us:>9.0} us of processor time and {disk_bytes:.0} bytes on disk a payment and node\n\
         memory        {resident:>9} MiB before the load, {resident_after} MiB after it\n"
    )
}

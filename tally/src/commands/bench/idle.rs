//! `tally bench idle`: processor time, memory and disk of every process of a network over a while.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use tallystick_api::Client;
use tallystick_api::node::NetworkStatus;
use tallystick_kernel::Reason;

use crate::commands::block_on;
use crate::failure::Failure;
use crate::output::Output;
use crate::process::{self, Usage};
use crate::up::FOLDER;
use crate::up::published::{RunningNetwork, RunningRole};

/// `tally bench idle`.
#[derive(Debug, Args)]
pub struct IdleArgs {
    /// The folder of the running network.
    #[arg(long, value_name = "DIR", default_value = FOLDER, env = "TALLY_DATA")]
    data: PathBuf,
    /// How long to look.
    #[arg(long, value_name = "N", default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
}

#[derive(Debug, Serialize)]
struct Shown {
    seconds: f64,
    cores: usize,
    blocks: u64,
    roles: Vec<Row>,
    sum: Row,
}

#[derive(Debug, Default, PartialEq, Serialize)]
struct Row {
    role: String,
    cpu_ms: u64,
    core_percent: f64,
    resident_bytes: u64,
    proportional_bytes: u64,
    threads: u64,
    disk_bytes: u64,
    disk_bytes_per_hour: i64,
}

/// What one look at a role found.
#[derive(Clone, Copy, Debug, Default)]
struct Look {
    usage: Usage,
    disk_bytes: u64,
}

/// Runs the workload.
pub fn run(args: &IdleArgs, output: Output) -> Result<(), Failure> {
    let network = RunningNetwork::read(&args.data)?;
    let (begun, first, height) = (Instant::now(), look(&network)?, height(&network)?);
    output.progress(&format!("looking for {} s", args.seconds));
    std::thread::sleep(Duration::from_secs(args.seconds));
    let seconds = begun.elapsed().as_secs_f64();
    let second = look(&network)?;
    let blocks = self::height(&network)?.saturating_sub(height);
    let roles: Vec<Row> = network
        .roles
        .iter()
        .zip(first.iter().zip(&second))
        .map(|(role, (first, second))| row(&role.role, first, second, seconds))
        .collect();
    let sum = sum(&roles);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    output.show(&Shown { seconds, cores, blocks, roles, sum }, text);
    Ok(())
}

fn look(network: &RunningNetwork) -> Result<Vec<Look>, Failure> {
    let of_role = |role: &RunningRole| {
        let usage = role.pid.and_then(process::usage).ok_or_else(|| {
            let cause = format!("{} does not run, or was started again meanwhile", role.role);
            Failure::new(Reason::NotReady).cause(cause)
        })?;
        Ok(Look { usage, disk_bytes: role.data.as_deref().map_or(0, process::disk_bytes) })
    };
    network.roles.iter().map(of_role).collect()
}

/// The height of the first node.
fn height(network: &RunningNetwork) -> Result<u64, Failure> {
    let node = network.roles.iter().find(|role| role.role.starts_with("node-"));
    let address = node.and_then(|node| node.address.as_deref()).ok_or(Reason::NotReady)?;
    let client = Client::new(&format!("http://{address}"))?;
    block_on(async { Ok(client.get::<NetworkStatus>("/v1/network").await?.height) })
}

fn row(role: &str, first: &Look, second: &Look, seconds: f64) -> Row {
    let cpu_ms = second.usage.cpu_ms.saturating_sub(first.usage.cpu_ms);
    let grown = second.disk_bytes as f64 - first.disk_bytes as f64;
    Row {
        role: role.to_owned(),
        cpu_ms,
        core_percent: cpu_ms as f64 / (10.0 * seconds),
        resident_bytes: second.usage.resident_bytes,
        proportional_bytes: second.usage.proportional_bytes,
        threads: second.usage.threads,
        disk_bytes: second.disk_bytes,
        disk_bytes_per_hour: (grown * 3600.0 / seconds) as i64,
    }
}

fn sum(roles: &[Row]) -> Row {
    let mut sum = Row { role: "in all".to_owned(), ..Row::default() };
    for row in roles {
        sum.cpu_ms += row.cpu_ms;
        sum.core_percent += row.core_percent;
        sum.resident_bytes += row.resident_bytes;
        sum.proportional_bytes += row.proportional_bytes;
        sum.threads += row.threads;
        sum.disk_bytes += row.disk_bytes;
        sum.disk_bytes_per_hour += row.disk_bytes_per_hour;
    }
    sum
}

fn text(shown: &Shown) -> String {
    let mut text = format!(
        "{:<13}{:>8}{:>9}{:>9}{:>9}{:>9}{:>9}{:>11}\n",
        "role", "cpu ms", "% core", "RSS MiB", "PSS MiB", "threads", "disk MiB", "MiB/hour"
    );
    for row in shown.roles.iter().chain([&shown.sum]) {
        text.push_str(&format!(
            "{:<13}{:>8}{:>9.2}{:>9.1}{:>9.1}{:>9}{:>9.1}{:>11.2}\n",
            row.role,
            row.cpu_ms,
            row.core_percent,
            row.resident_bytes as f64 / MEBIBYTE,
            row.proportional_bytes as f64 / MEBIBYTE,
            row.threads,
            row.disk_bytes as f64 / MEBIBYTE,
            row.disk_bytes_per_hour as f64 / MEBIBYTE,
        ));
    }
    let Shown { seconds, cores, blocks, .. } = shown;
    text + &format!("\nover {seconds:.0} s with {blocks} blocks, on a machine with {cores} cores\n")
}

const MEBIBYTE: f64 = 1024.0 * 1024.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn look_of(cpu_ms: u64, disk_bytes: u64) -> Look {
        let usage = Usage { cpu_ms, resident_bytes: 100, proportional_bytes: 60, threads: 2 };
        Look { usage, disk_bytes }
    }

    #[test]
    fn a_row_is_a_share_of_one_core_and_a_growth_by_the_hour() {
        let row = row("node-0", &look_of(1000, 5000), &look_of(1600, 6000), 60.0);
        assert_eq!((row.cpu_ms, row.core_percent), (600, 1.0));
        assert_eq!((row.disk_bytes, row.disk_bytes_per_hour), (6000, 60_000));
        let shrunk = super::row("node-0", &look_of(0, 6000), &look_of(0, 5000), 60.0);
        assert_eq!(shrunk.disk_bytes_per_hour, -60_000);
    }

    #[test]
    fn the_sum_counts_every_role_and_is_the_last_row_of_the_table() {
        let rows = vec![
            row("node-0", &look_of(0, 0), &look_of(300, 10), 60.0),
            row("issuer", &look_of(0, 0), &look_of(300, 20), 60.0),
        ];
        let sum = sum(&rows);
        assert_eq!((sum.cpu_ms, sum.core_percent, sum.threads), (600, 1.0, 4));
        assert_eq!((sum.resident_bytes, sum.disk_bytes), (200, 30));
        let shown = Shown { seconds: 60.0, cores: 2, blocks: 30, roles: rows, sum };
        let text = text(&shown);
        let last = text.lines().rfind(|line| line.starts_with("in all")).unwrap();
        assert!(last.contains("1.00"), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("node-0")).count(), 1);
    }
}

//! The network that runs in the folder: every role ready, every node connected and at its height.

use std::path::Path;

use tallystick_api::Client;
use tallystick_api::node::NetworkStatus;
use tallystick_kernel::{DurationMs, Reason, TimeMs};

use super::Subject;
use super::finding::Finding;
use super::machine::of_clock;
use crate::commands::block_on;
use crate::data_folder::LOG_FILE;
use crate::failure::Failure;
use crate::source;
use crate::up::published::{RunningNetwork, RunningRole};

/// Asks every role; without a running network there is nobody to ask.
pub fn look(subject: &Subject) -> Result<Vec<Finding>, Failure> {
    let Some(running) = &subject.running else {
        let says = format!("none runs in {}", subject.folder.display());
        return Ok(vec![Finding::ok("network", says)]);
    };
    block_on(async { Ok(ask(running).await) })
}

async fn ask(running: &RunningNetwork) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut nodes = Vec::new();
    for role in running.roles.iter().filter(|role| role.role != PARENT) {
        findings.push(readiness(role).await);
        if role.role.starts_with("node-") {
            let status = status(role).await;
            nodes.push((role.role.as_str(), status));
        }
    }
    let known: Vec<(&str, NetworkStatus)> =
        nodes.into_iter().filter_map(|(name, status)| Some((name, status?))).collect();
    findings.extend(heights(&known));
    findings.extend(known.iter().map(|(name, status)| peers(name, status)));
    if let Some(last) = known.iter().map(|(_, status)| status.time_ms).max() {
        findings.push(of_clock(source::now(), TimeMs(last), "the last block"));
        findings.extend(standstill(source::now(), TimeMs(last)));
    }
    findings
}

fn client(role: &RunningRole) -> Result<Client, Failure> {
    let address = role.address.as_deref().ok_or(Reason::NotReady)?;
    let client = Client::new(&format!("http://{address}"))?;
    Ok(client.with_deadline(PATIENCE).with_attempts(1))
}

async fn readiness(role: &RunningRole) -> Finding {
    let log = |role: &RunningRole| {
        let folder = role.data.as_deref().unwrap_or(Path::new("."));
        format!("read {}", folder.join(LOG_FILE).display())
    };
    if role.pid.is_none() {
        let says = format!("{} has ended", role.role);
        return Finding::failed("ready", Reason::NotReady, says, log(role));
    }
    let ready = match client(role) {
        Ok(client) => client.ready().await.map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    match ready {
        Ok(()) => {
            let address = role.address.as_deref().unwrap_or_default();
            Finding::ok("ready", format!("{} at {address}", role.role))
        }
        Err(failure) => {
            let says = format!("{}: {}", role.role, failure.causes.join("; "));
            Finding::failed("ready", failure.reason, says, log(role))
        }
    }
}

async fn status(role: &RunningRole) -> Option<NetworkStatus> {
    client(role).ok()?.get("/v1/network").await.ok()
}

/// How far each node is; one that lags is a warning.
fn heights(nodes: &[(&str, NetworkStatus)]) -> Vec<Finding> {
    let Some(highest) = nodes.iter().map(|(_, status)| status.height).max() else {
        return Vec::new();
    };
    let of_node = |(name, status): &(&str, NetworkStatus)| {
        let says = format!("{name} is at {}", status.height);
        match highest - status.height {
            0..=LAG_PLEASANT => Finding::ok("height", says),
            lag => Finding::warning(
                "height",
                format!("{says}, {lag} behind the highest"),
                format!("look again; if it does not catch up, read the log of {name}"),
            ),
        }
    };
    nodes.iter().map(of_node).collect()
}

/// How many others a node hears; too few for a quorum is a failure.
fn peers(name: &str, status: &NetworkStatus) -> Finding {
    let others = status.validators.saturating_sub(1);
    let says = format!("{name} hears {} of {others} others", status.peers_connected);
    let next = "look whether the others run, and at the network between them";
    match status.peers_connected {
        heard if heard >= others => Finding::ok("peers", says),
        heard if heard + 1 >= status.quorum => Finding::warning("peers", says, next),
        _ => Finding::failed("peers", Reason::NotReady, says, next),
    }
}

/// An idle network still makes blocks; one that makes none has lost its quorum.
fn standstill(now: TimeMs, last: TimeMs) -> Option<Finding> {
    let age = now.0.saturating_sub(last.0);
    (age > STANDSTILL_MS).then(|| {
        let says = format!("the last block is {} s old", age / 1000);
        Finding::warning("height", says, "look whether more than two thirds of the nodes run")
    })
}

const PARENT: &str = "up";
const PATIENCE: DurationMs = DurationMs(2000);
const LAG_PLEASANT: u64 = 10;
const STANDSTILL_MS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use tallystick_kernel::NetworkId;

    use super::super::finding::Level;
    use super::*;

    fn status(height: u64, peers_connected: u64) -> NetworkStatus {
        NetworkStatus {
            network: NetworkId([1; 32]),
            name: "test".to_owned(),
            height,
            reported_height: height,
            time_ms: 0,
            checkpoint_root: String::new(),
            epoch: 0,
            rules_version: 1,
            validators: 4,
            quorum: 3,
            peers_connected,
            pool_size: 0,
        }
    }

    #[test]
    fn a_node_that_lags_is_a_warning() {
        let found = heights(&[("node-0", status(100, 3)), ("node-1", status(80, 3))]);
        assert_eq!(found.iter().map(|one| one.level).max(), Some(Level::Warning));
        assert!(found[1].says.contains("20 behind"), "{}", found[1].says);
        assert!(heights(&[]).is_empty());
    }

    #[test]
    fn a_node_that_hears_too_few_for_a_quorum_has_failed() {
        let level = |heard: u64| peers("node-0", &status(1, heard)).level;
        assert_eq!((level(3), level(2), level(1)), (Level::Ok, Level::Warning, Level::Failed));
    }

    #[test]
    fn a_network_without_a_block_for_a_minute_stands_still() {
        assert!(standstill(TimeMs(100_000), TimeMs(90_000)).is_none());
        assert!(standstill(TimeMs(100_000), TimeMs(30_000)).is_some());
    }
}

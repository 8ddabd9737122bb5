//! Ready means: every `/readyz` answers 200, and a first block is final.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tallystick_api::Client;
use tallystick_api::node::NetworkStatus;
use tallystick_kernel::{DurationMs, Reason};

use super::children::Running;
use crate::failure::Failure;

/// Waits until all are ready; fails when one ends first, or after a minute.
pub async fn wait_ready(children: &mut [Running]) -> Result<(), Failure> {
    let progress = progress(children.len());
    let end = Instant::now() + READY_TIME_MAX;
    let clients = children.iter().map(|child| {
        Client::new(&child.role.url()).map(|client| client.with_deadline(PROBE_TIME_MAX))
    });
    let clients = clients.collect::<Result<Vec<_>, Reason>>()?;
    let mut waiting: Vec<usize> = (0..children.len()).collect();
    while !waiting.is_empty() {
        if let Some(failure) = children.iter_mut().find_map(ended) {
            return Err(failure);
        }
        let mut still = Vec::new();
        for index in waiting {
            let role = &children[index].role;
            progress.set_message(format!("waiting for {}", role.name));
            if is_ready(&clients[index], role.command).await {
                progress.inc(1);
            } else {
                still.push(index);
            }
        }
        waiting = still;
        if !waiting.is_empty() && Instant::now() >= end {
            return Err(too_late(&children[waiting[0]]));
        }
        if !waiting.is_empty() {
            tokio::time::sleep(PROBE_PAUSE).await;
        }
    }
    progress.finish_and_clear();
    Ok(())
}

async fn is_ready(client: &Client, command: &str) -> bool {
    if client.ready().await.is_err() {
        return false;
    }
    if command != "node" {
        return true;
    }
    let status: Result<NetworkStatus, _> = client.get("/v1/network").await;
    status.is_ok_and(|status| status.height > 0)
}

fn ended(child: &mut Running) -> Option<Failure> {
    let ended = child.poll()?;
    let name = &child.role.name;
    let mut failure =
        Failure::new(Reason::NotReady).cause(format!("{name} ended with {}", ended.status));
    failure.causes.extend(child.last_lines());
    let log = child.role.folder.join(crate::data_folder::LOG_FILE);
    Some(failure.next_step(format!("read {}", log.display())))
}

fn too_late(child: &Running) -> Failure {
    let log = child.role.folder.join(crate::data_folder::LOG_FILE);
    Failure::new(Reason::NotReady)
        .cause(format!("{} was not ready within {READY_TIME_MAX:?}", child.role.name))
        .next_step(format!("read {}", log.display()))
}

fn progress(length: usize) -> ProgressBar {
    use std::io::IsTerminal as _;
    let target = match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let progress = ProgressBar::with_draw_target(Some(length as u64), target);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} {wide_msg}") {
        progress.set_style(style);
    }
    progress.enable_steady_tick(Duration::from_millis(100));
    progress
}

const READY_TIME_MAX: Duration = Duration::from_secs(60);
const PROBE_TIME_MAX: DurationMs = DurationMs(500);
const PROBE_PAUSE: Duration = Duration::from_millis(50);

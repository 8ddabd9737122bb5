//! Ready means: every `/readyz` answers 200, and a first block is final.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tallystick_api::Client;
use tallystick_api::node::NetworkStatus;
use tallystick_kernel::{DurationMs, Reason};

use super::children::Running;
use super::startup::{Startup, Step};
use crate::failure::Failure;
use crate::output::Output;

/// Waits until all are ready; fails when one ends first, or after a minute.
pub async fn wait_ready(
    children: &mut [Running],
    startup: &mut Startup,
    output: Output,
) -> Result<(), Failure> {
    let progress = progress(children.len(), output);
    let end = Instant::now() + READY_TIME_MAX;
    let clients = children.iter().map(|child| {
        let client = Client::new(&child.role.url());
        client.map(|client| client.with_deadline(PROBE_TIME_MAX).with_attempts(1))
    });
    let clients = clients.collect::<Result<Vec<_>, Reason>>()?;
    let mut steps = vec![Step::Begun; children.len()];
    loop {
        if let Some(failure) = children.iter_mut().find_map(ended) {
            return Err(failure);
        }
        for (index, step) in steps.iter_mut().enumerate() {
            let role = &children[index].role;
            if *step == Step::Ready {
                continue;
            }
            progress.set_message(format!("waiting for {}", role.name));
            *step = look(&clients[index], role.command).await.max(*step);
        }
        startup.observe(&steps);
        let ready = steps.iter().filter(|step| **step == Step::Ready).count();
        progress.set_position(ready as u64);
        let Some(waiting) = steps.iter().position(|step| *step != Step::Ready) else { break };
        if Instant::now() >= end {
            return Err(too_late(&children[waiting]));
        }
        tokio::time::sleep(PROBE_PAUSE).await;
    }
    progress.finish_and_clear();
    Ok(())
}

/// How far a role has come.
async fn look(client: &Client, command: &str) -> Step {
    if command == "node" {
        let status: Result<NetworkStatus, _> = client.get("/v1/network").await;
        let Ok(status) = status else { return Step::Begun };
        if status.height == 0 {
            let complete = status.peers_connected + 1 >= status.validators;
            return if complete { Step::Connected } else { Step::Serves };
        }
    }
    match client.ready().await {
        Ok(()) => Step::Ready,
        Err(error) if error.is_transport() => Step::Begun,
        Err(_) => Step::HasBlock,
    }
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

fn progress(length: usize, output: Output) -> ProgressBar {
    let target = match output.shows_progress() {
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
const PROBE_PAUSE: Duration = Duration::from_millis(20);

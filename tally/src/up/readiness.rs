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

/// Waits until all are ready, but for as many validators as the network does without; fails when
/// another role or one more ends first, or after a minute. Gives the validators that have ended, with
/// the time to start them again.
pub async fn wait_ready(
    children: &mut [Running],
    startup: &mut Startup,
    output: Output,
) -> Result<Vec<(Instant, usize)>, Failure> {
    let progress = progress(children.len(), output);
    let end = Instant::now() + READY_TIME_MAX;
    let clients = children.iter().map(|child| {
        let client = Client::new(&child.role.url());
        client.map(|client| client.with_deadline(PROBE_TIME_MAX).with_attempts(1))
    });
    let clients = clients.collect::<Result<Vec<_>, Reason>>()?;
    let mut steps = vec![Step::Begun; children.len()];
    let mut absent = Absent::new(children);
    loop {
        for (index, child) in children.iter_mut().enumerate() {
            let Some((failure, restart_at)) = ended(child) else { continue };
            if !absent.bear(index, child, Some(restart_at)) {
                return Err(failure);
            }
            output.warn(&format!("{failure}\n{RECOVERY}"));
        }
        for (index, step) in steps.iter_mut().enumerate() {
            let role = &children[index].role;
            if *step == Step::Ready || absent.holds(index) {
                continue;
            }
            progress.set_message(format!("waiting for {}", role.name));
            *step = look(&clients[index], role.command).await.max(*step);
        }
        let counted = |(index, step): (usize, &Step)| match absent.holds(index) {
            true => Step::Ready,
            false => *step,
        };
        startup.observe(&steps.iter().enumerate().map(counted).collect::<Vec<_>>());
        let ready = steps.iter().filter(|step| **step == Step::Ready).count();
        progress.set_position(ready as u64);
        let is_waited_for = |index: &usize| steps[*index] != Step::Ready && !absent.holds(*index);
        let waiting: Vec<usize> = (0..steps.len()).filter(is_waited_for).collect();
        if waiting.is_empty() {
            break;
        }
        if Instant::now() >= end {
            for index in waiting {
                let failure = too_late(&children[index]);
                if !absent.bear(index, &children[index], None) {
                    return Err(failure);
                }
                output.warn(&format!("{failure}\n{RECOVERY}"));
            }
            break;
        }
        tokio::time::sleep(PROBE_PAUSE).await;
    }
    progress.finish_and_clear();
    Ok(absent.restarts)
}

/// Validators that are not waited for: no more than the network tolerates.
struct Absent {
    tolerated: usize,
    indexes: Vec<usize>,
    restarts: Vec<(Instant, usize)>,
}

impl Absent {
    fn new(children: &[Running]) -> Absent {
        let nodes = children.iter().filter(|child| child.role.command == NODE).count();
        Absent { tolerated: nodes.saturating_sub(1) / 3, indexes: Vec::new(), restarts: Vec::new() }
    }

    fn holds(&self, index: usize) -> bool {
        self.indexes.contains(&index)
    }

    /// Whether the network can do without this one too.
    fn bear(&mut self, index: usize, child: &Running, restart_at: Option<Instant>) -> bool {
        let is_new = !self.holds(index);
        if child.role.command != NODE || is_new && self.indexes.len() >= self.tolerated {
            return false;
        }
        if is_new {
            self.indexes.push(index);
        }
        self.restarts.extend(restart_at.map(|at| (at, index)));
        true
    }
}

/// How far a role has come.
async fn look(client: &Client, command: &str) -> Step {
    if command == NODE {
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

fn ended(child: &mut Running) -> Option<(Failure, Instant)> {
    let ended = child.poll()?;
    let name = &child.role.name;
    let mut failure =
        Failure::new(Reason::NotReady).cause(format!("{name} ended with {}", ended.status));
    failure.causes.extend(child.last_lines());
    let log = child.role.folder.join(crate::data_folder::LOG_FILE);
    Some((failure.next_step(format!("read {}", log.display())), ended.restart_at))
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

const NODE: &str = "node";
/// What to do about a validator that does not come up while the others do.
const RECOVERY: &str = "the other validators go on without it; if its data is damaged, stop the \
                        network and put a copy of its folder in place that is whole";
const READY_TIME_MAX: Duration = Duration::from_secs(60);
const PROBE_TIME_MAX: DurationMs = DurationMs(500);
const PROBE_PAUSE: Duration = Duration::from_millis(20);

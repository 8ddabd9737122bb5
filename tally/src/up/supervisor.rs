//! The parent: starts the roles, tells that they are ready, keeps them running, stops them.

use std::time::{Duration, Instant};

use tallystick_kernel::Reason;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::UpArgs;
use super::children::{Running, stop_all};
use super::founding::Network;
use super::plan::Role;
use super::published;
use super::readiness::wait_ready;
use super::startup::{FOUNDING, STARTING, Startup};
use super::watch::Watch;
use crate::data_folder::{DataFolder, create_private, write_atomically};
use crate::failure::Failure;
use crate::output::Output;

/// Runs a network until SIGINT or SIGTERM, or until it cannot be made ready.
pub fn supervise(
    folder: &DataFolder,
    network: &Network,
    mut startup: Startup,
    args: &UpArgs,
    output: Output,
) -> Result<(), Failure> {
    // One thread: the kernel ends children with the thread that made them.
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| internal(&error))?;
    let mut children = Vec::new();
    let ended = runtime.block_on(async {
        let mut signals = Signals::new()?;
        network.roles.iter().try_for_each(write_config)?;
        startup.end(FOUNDING);
        for role in &network.roles {
            children.push(Running::start(role.clone())?);
        }
        startup.end(STARTING);
        let due = tokio::select! {
            biased;
            () = signals.stop() => return Ok(()),
            ready = wait_ready(&mut children, &mut startup, output) => ready?,
        };
        published::publish(folder, network, &children, &startup)?;
        published::show(folder, network, &children, &startup, output);
        let watch = Watch::new(&children, Duration::from_secs(args.patience))?;
        let restarts = !args.no_restart;
        let mut keeper = Keeper { folder, network, startup, output, restarts, watch };
        keeper.keep_running(&mut children, &mut signals, due).await
    });
    output.progress("stopping");
    published::withdraw(folder);
    stop_all(&mut children);
    ended
}

/// What the parent needs to know to keep a network running.
struct Keeper<'a> {
    folder: &'a DataFolder,
    network: &'a Network,
    startup: Startup,
    output: Output,
    restarts: bool,
    watch: Watch,
}

impl Keeper<'_> {
    async fn keep_running(
        &mut self,
        children: &mut [Running],
        signals: &mut Signals,
        absent: Vec<(Instant, usize)>,
    ) -> Result<(), Failure> {
        let mut due = if self.restarts { absent } else { Vec::new() };
        loop {
            due.extend(self.ended(children));
            let (now_due, later): (Vec<_>, Vec<_>) =
                due.into_iter().partition(|(time, _)| *time <= Instant::now());
            due = later;
            for (_, index) in &now_due {
                children[*index].restart()?;
                self.watch.forget(*index);
            }
            if !now_due.is_empty() {
                published::publish(self.folder, self.network, children, &self.startup)?;
            }
            let next = due.iter().map(|(time, _)| *time).min();
            tokio::select! {
                event = signals.next() => match event {
                    Event::Stop => return Ok(()),
                    Event::Child => {}
                },
                () = until(next) => {}
                silent = self.watch.next() => self.wake(children, &silent)
            }
        }
    }

    /// Reports roles that live and do not answer; ends them where they will be started again.
    fn wake(&self, children: &[Running], silent: &[usize]) {
        let then = if self.restarts { "is started again" } else { "stays so" };
        let living = silent.iter().filter_map(|index| children.get(*index));
        for child in living.filter(|child| child.pid().is_some()) {
            let (name, seconds) = (&child.role.name, self.watch.patience().as_secs());
            self.output.warn(&format!("{name} has not answered for {seconds} s and {then}"));
            if self.restarts {
                child.kill();
            }
        }
    }

    /// The children that have ended by themselves, with the time to start them again.
    fn ended(&self, children: &mut [Running]) -> Vec<(Instant, usize)> {
        let mut due = Vec::new();
        for (index, child) in children.iter_mut().enumerate() {
            let Some(ended) = child.poll() else { continue };
            let then = if self.restarts { "is started again" } else { "stays so" };
            let name = &child.role.name;
            self.output.warn(&format!("{name} ended with {} and {then}", ended.status));
            if self.restarts {
                due.push((ended.restart_at, index));
            }
        }
        due
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => core::future::pending().await,
    }
}

fn write_config(role: &Role) -> Result<(), Failure> {
    create_private(&role.folder)?;
    write_atomically(&role.config_file(), role.config.as_bytes(), 0o600)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    child: Signal,
}

impl Signals {
    fn new() -> Result<Signals, Failure> {
        let of = |kind| signal(kind).map_err(|error| internal(&error));
        Ok(Signals {
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
            child: of(SignalKind::child())?,
        })
    }

    async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.terminate.recv() => Event::Stop,
            _ = self.interrupt.recv() => Event::Stop,
            _ = self.child.recv() => Event::Child,
        }
    }

    async fn stop(&mut self) {
        while self.next().await != Event::Stop {}
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    /// We are asked to stop.
    Stop,
    /// A child has ended.
    Child,
}

fn internal(error: &std::io::Error) -> Failure {
    Failure::new(Reason::Internal).cause(error.to_string())
}

//! What a node does when it cannot go on: a policy, so that a process ends and a simulated node dies.

use std::sync::Arc;

use tallystick_kernel::Reason;

/// What helps when storage does not hold what was written.
const WAY_OUT_OF_DAMAGE: &str = "move state/ledger away, keep state/engine, and start it again: it \
    gets all from the others; where a file of the engine is named above, move all of state away, and \
    count the node as faulty until it has caught up";

/// Called once a node can no longer be trusted to do what it promises: its storage has failed, or a
/// part of the engine has ended. The node's tasks return after it; a restart resumes from the last
/// commit.
#[derive(Clone)]
pub struct Failure(Arc<dyn Fn(Reason) + Send + Sync>);

impl Failure {
    /// A policy of the caller's.
    pub fn new(policy: impl Fn(Reason) + Send + Sync + 'static) -> Failure {
        Failure(Arc::new(policy))
    }

    /// Ends the process with exit code 4.
    pub fn end_process() -> Failure {
        Failure::new(|_| std::process::exit(4))
    }

    /// Says that the node cannot go on, why, and what to do about it.
    pub fn report(&self, reason: Reason) {
        let way_out = match reason {
            Reason::StorageCorrupt => WAY_OUT_OF_DAMAGE,
            Reason::StorageFailed => "look at the disk: is it full, can it be written",
            _ => "start it again, and look at what is said above",
        };
        tracing::error!(code = reason.code(), way_out, "the node cannot go on; stopping");
        (self.0)(reason);
    }
}

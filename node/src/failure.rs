//! What a node does when it cannot go on: a policy, so that a process ends and a simulated node dies.

use std::sync::Arc;

use tallystick_kernel::Reason;

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

    /// Says that the node cannot go on, and why.
    pub fn report(&self, reason: Reason) {
        tracing::error!(code = reason.code(), "the node cannot go on; stopping");
        (self.0)(reason);
    }
}

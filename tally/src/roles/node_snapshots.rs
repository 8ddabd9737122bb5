//! Snapshots that a node writes into its folder: again and again, and when it is asked to.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tallystick_api::node::SnapshotWritten;
use tallystick_kernel::Reason;
use tallystick_node::{NodeHandle, snapshot_file};

/// The file in a node's folder.
pub const SNAPSHOT_FILE: &str = "snapshot.tally";

/// Writes the last checkpoint into a file, one writer at a time.
#[derive(Clone)]
pub struct Snapshots {
    node: NodeHandle,
    file: PathBuf,
    writing: Arc<Mutex<()>>,
}

impl Snapshots {
    /// Of a node, into a file.
    pub fn new(node: NodeHandle, file: PathBuf) -> Snapshots {
        Snapshots { node, file, writing: Arc::default() }
    }

    /// Writes one now, in place of the one before; reads the whole state. [`Reason::NotReady`] while
    /// no certified header reports a checkpoint that was taken since the start, and the reasons of
    /// [`snapshot_file::write`].
    pub fn write(&self) -> Result<SnapshotWritten, Reason> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let source = self.node.snapshot()?;
        snapshot_file::write(&source, &self.file)?;
        let metadata = self.file.metadata().map_err(|_| Reason::FileUnreadable)?;
        let manifest = source.manifest();
        tracing::info!(checkpoint = manifest.checkpoint, "a snapshot is written");
        Ok(SnapshotWritten {
            checkpoint: manifest.checkpoint,
            certified_in: manifest.certified.height,
            file: SNAPSHOT_FILE.to_owned(),
            bytes: metadata.len(),
        })
    }

    /// Writes one again and again, until the process ends.
    pub fn repeat(&self, pause: Duration) {
        loop {
            std::thread::sleep(pause);
            if let Err(reason) = self.write() {
                tracing::warn!(code = reason.code(), "no snapshot is written");
            }
        }
    }
}

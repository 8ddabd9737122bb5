//! Looking at the engine's files before the engine opens them.
//!
//! The engine cuts off what a crash, or a disk, has torn at the end of a file and goes on; whether that
//! were votes or blocks, it gets what it needs from the others. A file whose first bytes are damaged it
//! meets with a panic in one of its tasks; here it is met with a reason.

use std::path::Path;

use commonware_runtime::{Error, Storage};
use tallystick_kernel::Reason;

/// Every file of the engine in its folder can be opened.
///
/// Returns [`Reason::StorageCorrupt`], and [`Reason::StorageFailed`] for what cannot be read.
pub async fn check(storage: &impl Storage, folder: &Path) -> Result<(), Reason> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        // Not begun yet.
        return Ok(());
    };
    for entry in entries {
        let path = entry.map_err(|_| Reason::StorageFailed)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(partition) = name.filter(|_| path.is_dir()) else { continue };
        for blob in storage.scan(partition).await.map_err(|error| refused(partition, &error))? {
            let opened = storage.open(partition, &blob).await;
            opened.map(drop).map_err(|error| refused(partition, &error))?;
        }
    }
    Ok(())
}

fn refused(partition: &str, error: &Error) -> Reason {
    tracing::error!(partition, %error, "a file of the engine cannot be opened");
    match error {
        Error::BlobCorrupt(..)
        | Error::BlobVersionMismatch { .. }
        | Error::PartitionCorrupt(..) => Reason::StorageCorrupt,
        _ => Reason::StorageFailed,
    }
}

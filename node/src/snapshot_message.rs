//! What nodes say to each other about snapshots, on a channel of its own.

use tallystick_kernel::{Codec, Digest, Reader, Reason, Writer};

use crate::snapshot::{CHUNK_BYTES_MAX, MANIFEST_BYTES_MAX};

/// Bytes of a message at most.
pub const SNAPSHOT_MESSAGE_BYTES_MAX: usize = MANIFEST_BYTES_MAX + 256;
const _: () = assert!(CHUNK_BYTES_MAX + 256 <= SNAPSHOT_MESSAGE_BYTES_MAX);

/// A message: `[number, field, ...]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotMessage {
    /// "Which blocks do you have?"
    Ask,
    /// The answer to `Ask`.
    Holds {
        /// What the sender has executed.
        height: u64,
        /// The lowest block that it can still give.
        lowest: u64,
    },
    /// "Which snapshot do you have?"
    WantManifest,
    /// The answer to `WantManifest`: a manifest's bytes.
    Manifest(Vec<u8>),
    /// "Send me this chunk of that snapshot."
    WantChunk {
        /// The snapshot.
        snapshot: Digest,
        /// The chunk.
        index: u64,
    },
    /// The answer to `WantChunk`.
    Chunk {
        /// The snapshot.
        snapshot: Digest,
        /// The chunk.
        index: u64,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// "I have none", or not that one any more.
    Gone,
}

impl Codec for SnapshotMessage {
    fn encode(&self, out: &mut Writer) {
        match self {
            SnapshotMessage::Ask => out.array(1).u64(1),
            SnapshotMessage::Holds { height, lowest } => {
                out.array(3).u64(2).u64(*height).u64(*lowest)
            }
            SnapshotMessage::WantManifest => out.array(1).u64(3),
            SnapshotMessage::Manifest(bytes) => out.array(2).u64(4).bytes(bytes),
            SnapshotMessage::WantChunk { snapshot, index } => {
                out.array(3).u64(5).bytes(snapshot).u64(*index)
            }
            SnapshotMessage::Chunk { snapshot, index, bytes } => {
                out.array(4).u64(6).bytes(snapshot).u64(*index).bytes(bytes)
            }
            SnapshotMessage::Gone => out.array(1).u64(7),
        };
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        let fields = input.array(4)?;
        match (input.u64()?, fields) {
            (1, 1) => Ok(SnapshotMessage::Ask),
            (2, 3) => Ok(SnapshotMessage::Holds { height: input.u64()?, lowest: input.u64()? }),
            (3, 1) => Ok(SnapshotMessage::WantManifest),
            (4, 2) => Ok(SnapshotMessage::Manifest(input.bytes(MANIFEST_BYTES_MAX)?.to_vec())),
            (5, 3) => Ok(SnapshotMessage::WantChunk {
                snapshot: input.byte_array()?,
                index: input.u64()?,
            }),
            (6, 4) => Ok(SnapshotMessage::Chunk {
                snapshot: input.byte_array()?,
                index: input.u64()?,
                bytes: input.bytes(CHUNK_BYTES_MAX)?.to_vec(),
            }),
            (7, 1) => Ok(SnapshotMessage::Gone),
            _ => Err(Reason::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_about_snapshots_is_read_back() {
        for message in [
            SnapshotMessage::Ask,
            SnapshotMessage::Holds { height: 1 << 40, lowest: 7 },
            SnapshotMessage::WantManifest,
            SnapshotMessage::Manifest(vec![1; 300]),
            SnapshotMessage::WantChunk { snapshot: [3; 32], index: 9 },
            SnapshotMessage::Chunk { snapshot: [3; 32], index: 9, bytes: vec![4; 1000] },
            SnapshotMessage::Gone,
        ] {
            let bytes = message.to_bytes();
            let read = SnapshotMessage::from_bytes(&bytes, SNAPSHOT_MESSAGE_BYTES_MAX);
            assert_eq!(read, Ok(message));
            assert!(SnapshotMessage::from_bytes(&bytes[..bytes.len() - 1], 1 << 20).is_err());
        }
    }
}

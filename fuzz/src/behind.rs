//! The decoders of a node that is behind, and of whoever keeps what nodes gave up.

use tallystick_kernel::limits::RECEIPT_BYTES_MAX;
use tallystick_kernel::{Codec, Digest};
use tallystick_node::archive_verify::{self, ArchiveHead, HEAD_BYTES_MAX, Verification};
use tallystick_node::block::{BLOCK_BYTES_MAX, Block};
use tallystick_node::file_parts::write_part;
use tallystick_node::keys;
use tallystick_node::snapshot::{
    CHUNK_BYTES_MAX, MANIFEST_BYTES_MAX, Manifest, decode_chunk, encode_chunk,
};
use tallystick_node::snapshot_message::{SNAPSHOT_MESSAGE_BYTES_MAX, SnapshotMessage};
use tallystick_proofs::header::{Header, entries_root};
use tallystick_proofs::merkle;
use tallystick_proofs::state_proof::{Found, StateProof};
use tallystick_proofs::state_statement::StateStatement;

use crate::samples;
use crate::targets::{Read, Target, canonical, target};

/// Snapshots, archives, statements, and blocks as the engine stores and sends them.
pub fn targets() -> Vec<Target> {
    let finality = samples::finality(&samples::header(), 4, 3);
    let manifest = Manifest {
        network: samples::genesis(4).network(),
        checkpoint: 900,
        certified: samples::header(),
        finality,
        changes: Vec::new(),
        chunks: vec![[1; 32], [2; 32]],
    };
    let chunk = encode_chunk(&[(vec![1; 40], vec![2; 300]), (vec![3; 64], Vec::new())]);
    let snapshot: Digest = [9; 32];
    let messages = [
        SnapshotMessage::Ask,
        SnapshotMessage::Holds { height: 70_000, lowest: 3 },
        SnapshotMessage::WantManifest,
        SnapshotMessage::Manifest(manifest.to_bytes()),
        SnapshotMessage::WantChunk { snapshot, index: 7 },
        SnapshotMessage::Chunk { snapshot, index: 7, bytes: chunk.clone() },
        SnapshotMessage::Gone,
    ];
    let (head, block) = archived();
    vec![
        target(
            "snapshot message",
            messages.iter().map(Codec::to_bytes).collect(),
            SNAPSHOT_MESSAGE_BYTES_MAX,
            |it| canonical::<SnapshotMessage>(it, SNAPSHOT_MESSAGE_BYTES_MAX),
        ),
        target("snapshot manifest", vec![manifest.to_bytes()], MANIFEST_BYTES_MAX, |it| {
            canonical::<Manifest>(it, MANIFEST_BYTES_MAX)
        }),
        target("snapshot chunk", vec![chunk], CHUNK_BYTES_MAX, |it| match decode_chunk(it) {
            Ok(pairs) if encode_chunk(&pairs) == it => Read::Same,
            Ok(_) => Read::Differs("another chunk".to_owned()),
            Err(_) => Read::Refused,
        }),
        target("archive head", vec![head.to_bytes()], HEAD_BYTES_MAX, |it| {
            canonical::<ArchiveHead>(it, HEAD_BYTES_MAX)
        }),
        Target {
            // The genesis file and the state that it begins with are made for each.
            allocates: 256 * 1024,
            ..target("archive", vec![archive(&head, &block)], CHUNK_BYTES_MAX, read_archive)
        },
        target("statement", vec![statement().to_bytes()], RECEIPT_BYTES_MAX, read_statement),
        target("engine block", vec![block.to_engine()], BLOCK_BYTES_MAX, read_engine_block),
    ]
}

fn read_archive(bytes: &[u8]) -> Read {
    let genesis = samples::genesis(4);
    match Verification::new(&genesis).take(&mut &bytes[..]) {
        Ok(()) => Read::Same,
        Err(_) => Read::Refused,
    }
}

fn read_statement(bytes: &[u8]) -> Read {
    match StateStatement::read(bytes) {
        Ok(statement) if statement.to_bytes() != bytes => {
            Read::Differs("another statement".to_owned())
        }
        Ok(statement) => {
            // Whatever it says, checking it must end.
            drop(statement.verify(&samples::genesis(4)));
            Read::Same
        }
        Err(_) => Read::Refused,
    }
}

fn read_engine_block(bytes: &[u8]) -> Read {
    match Block::from_engine(bytes) {
        Ok(block) if block.to_engine() == bytes => Read::Same,
        Ok(_) => Read::Differs("another block".to_owned()),
        Err(_) => Read::Refused,
    }
}

/// An empty block, and what an archive of it alone begins with.
fn archived() -> (ArchiveHead, Block) {
    let nothing: Digest = merkle::root::<Vec<u8>>(&[]);
    let header = Header {
        height: 900,
        executed_height: 899,
        results_root: nothing,
        transactions_root: entries_root(&[]),
        count: 0,
        ..samples::header()
    };
    let block = Block { header, entries: Vec::new() };
    let (height, previous, executed_height) = (901, block.header.id(), 900);
    let next = Header { height, previous, executed_height, ..block.header };
    let finality = samples::finality(&next, 4, 3);
    let head = ArchiveHead {
        network: samples::genesis(4).network(),
        from: 900,
        to: 900,
        descendants: vec![next],
        finality,
        changes: Vec::new(),
    };
    (head, block)
}

fn archive(head: &ArchiveHead, block: &Block) -> Vec<u8> {
    let mut file = archive_verify::MAGIC.to_vec();
    let chunk = encode_chunk(&[(keys::block(block.header.height), block.to_bytes())]);
    for part in [head.to_bytes(), chunk] {
        // Nothing that is written to memory fails.
        let _ = write_part(&mut file, &part);
    }
    file
}

fn statement() -> StateStatement {
    let found = Found::Value(vec![5; 9]);
    let proof = StateProof { key: vec![1; 40], found, count: 9, siblings: vec![[2; 32]; 5] };
    StateStatement {
        proofs: vec![proof],
        header: samples::header(),
        descendants: Vec::new(),
        finality: samples::finality(&samples::header(), 4, 3),
        changes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_target_begins_with_is_accepted() {
        for target in targets() {
            for seed in &target.seeds {
                assert_eq!((target.read)(seed), Read::Same, "{}", target.name);
            }
        }
    }
}

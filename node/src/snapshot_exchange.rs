//! The task that serves snapshots to others, and fetches one when blocks are no longer to be had.
//!
//! Invariants: one request is answered at a time, so that serving takes no more than one part of
//! the node's time; a snapshot is asked for only when the node stands still and more validators
//! than can be faulty say that they have given up the blocks that it needs; whoever serves one that
//! does not verify, or does not serve what it was asked for, is not asked again while others are
//! left; nobody is asked first for a height that only a faulty one may have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use commonware_cryptography::ed25519;
use commonware_p2p::{Receiver, Recipients, Sender};
use commonware_runtime::Clock;
use tallystick_kernel::{Codec, DurationMs, Reason, TimeMs};

use crate::application::now;
use crate::consensus::Mailbox;
use crate::prune::{self, ENGINE_BLOCKS};
use crate::schemes::Schemes;
use crate::shared::Shared;
use crate::snapshot_message::{SNAPSHOT_MESSAGE_BYTES_MAX, SnapshotMessage};
use crate::snapshot_restore::Restore;
use crate::snapshot_shelf::Shelf;

/// How often a node looks whether it stands still.
const PER_LOOK: Duration = Duration::from_secs(1);
/// How long beyond three idle intervals a node must stand still.
const PATIENCE: DurationMs = DurationMs::seconds(3);
/// How often the others are asked what they have, and how long an answer counts.
const PER_ASK: DurationMs = DurationMs::seconds(3);
const ANSWERS_COUNT_FOR: DurationMs = DurationMs::seconds(15);
/// How long a server may take for one answer.
const ANSWER_WITHIN: DurationMs = DurationMs::seconds(10);
/// Left to others after each chunk that is served.
const PER_CHUNK: Duration = Duration::from_millis(5);

type Key = ed25519::PublicKey;

/// What a validator said that it has.
struct Holds {
    height: u64,
    lowest: u64,
    at: TimeMs,
}

/// A snapshot on its way from one validator.
struct Download {
    peer: Key,
    restore: Option<Restore>,
    heard: TimeMs,
}

/// One node's part in the exchange of snapshots.
pub struct Exchange {
    shared: Arc<Shared>,
    schemes: Schemes,
    engine: Mailbox,
    shelf: Shelf,
    /// The height at which the node stands, and since when.
    standing: (u64, TimeMs),
    asked: Option<TimeMs>,
    holds: BTreeMap<Key, Holds>,
    /// Whose snapshot did not verify, or did not come.
    refused: BTreeSet<Key>,
    download: Option<Download>,
}

impl Exchange {
    /// For a node that starts now.
    pub fn new(shared: Arc<Shared>, schemes: Schemes, engine: Mailbox, now: TimeMs) -> Exchange {
        let standing = (shared.core().state.height(), now);
        Exchange {
            shared,
            schemes,
            engine,
            shelf: Shelf::default(),
            standing,
            asked: None,
            holds: BTreeMap::new(),
            refused: BTreeSet::new(),
            download: None,
        }
    }

    /// Serves and, when it must, fetches, until the network ends or storage fails.
    pub async fn run(
        mut self,
        clock: impl Clock,
        mut receiver: impl Receiver<PublicKey = Key>,
        mut sender: impl Sender<PublicKey = Key>,
    ) {
        let mut looked = now(&clock);
        loop {
            let since = DurationMs(now(&clock).0.saturating_sub(looked.0));
            let pause = PER_LOOK.saturating_sub(Duration::from_millis(since.0));
            let received = {
                let sleep = std::pin::pin!(clock.sleep(pause));
                let receive = std::pin::pin!(receiver.recv());
                match futures::future::select(receive, sleep).await {
                    futures::future::Either::Left((Ok(received), _)) => Some(received),
                    futures::future::Either::Left((Err(_), _)) => return,
                    futures::future::Either::Right(_) => None,
                }
            };
            let time = now(&clock);
            let done = match received {
                None => {
                    looked = time;
                    self.look(time, &mut sender)
                }
                Some((peer, bytes)) => {
                    let bytes: Vec<u8> = bytes.as_ref().to_vec();
                    let is_chunk = self.handle(&peer, &bytes, time, &mut sender);
                    if is_chunk == Ok(true) {
                        clock.sleep(PER_CHUNK).await;
                    }
                    is_chunk.map(drop)
                }
            };
            match done {
                Ok(()) => {}
                Err(reason @ (Reason::StorageFailed | Reason::StorageCorrupt)) => {
                    return self.shared.fail(reason);
                }
                Err(reason) => {
                    tracing::warn!(code = reason.code(), "a peer sent a bad snapshot message");
                }
            }
        }
    }

    /// Finds out whether the node stands still, and does something about it.
    fn look(
        &mut self,
        time: TimeMs,
        sender: &mut impl Sender<PublicKey = Key>,
    ) -> Result<(), Reason> {
        self.shelf.look(time);
        let (height, idle) = {
            let core = self.shared.core();
            (core.state.height(), core.genesis.parameters.idle_interval)
        };
        if height != self.standing.0 {
            self.standing = (height, time);
            return self.give_up();
        }
        if let Some(download) = &self.download {
            if download.heard.after(ANSWER_WITHIN) < time {
                self.refused.insert(download.peer.clone());
                self.download = None;
            }
            return Ok(());
        }
        let patience = DurationMs(idle.0.saturating_mul(3)).0.saturating_add(PATIENCE.0);
        if self.standing.1.after(DurationMs(patience)) > time {
            return Ok(());
        }
        if self.asked.is_none_or(|asked| asked.after(PER_ASK) <= time) {
            self.asked = Some(time);
            send(sender, Recipients::All, &SnapshotMessage::Ask);
        }
        if let Some(peer) = self.server(height, time) {
            tracing::info!(%peer, height, "asks for a snapshot");
            self.download = Some(Download { peer: peer.clone(), restore: None, heard: time });
            send(sender, Recipients::One(peer), &SnapshotMessage::WantManifest);
        }
        Ok(())
    }

    /// Who is to be asked for a snapshot; none while the blocks may still be had.
    fn server(&mut self, height: u64, time: TimeMs) -> Option<Key> {
        self.holds.retain(|_, holds| holds.at.after(ANSWERS_COUNT_FOR) > time);
        let has_gap = self.shared.has_gap();
        let members = self.shared.members();
        let past: Vec<(&Key, u64)> = self
            .holds
            .iter()
            .filter(|(peer, _)| members.place_of(peer.as_ref()).is_some())
            .filter(|(_, holds)| holds.lowest > height + 1 || (has_gap && holds.height > height))
            .map(|(peer, holds)| (peer, holds.height))
            .collect();
        let faulty = members.validators.count() - members.validators.quorum();
        let believed = believed(past.iter().map(|(_, height)| *height).collect(), faulty)?;
        let left = past.iter().filter(|(peer, _)| !self.refused.contains(*peer));
        let found = left.max_by_key(|(_, height)| *height.min(&believed));
        let found = found.map(|(peer, _)| Key::clone(peer));
        if found.is_none() {
            self.refused.clear();
        }
        found
    }

    /// Blocks have come after all.
    fn give_up(&mut self) -> Result<(), Reason> {
        match self.download.take().and_then(|download| download.restore) {
            Some(restore) => restore.abandon(),
            None => Ok(()),
        }
    }

    /// Handles a message; whether it was answered with a chunk.
    fn handle(
        &mut self,
        peer: &Key,
        bytes: &[u8],
        time: TimeMs,
        sender: &mut impl Sender<PublicKey = Key>,
    ) -> Result<bool, Reason> {
        let message = SnapshotMessage::from_bytes(bytes, SNAPSHOT_MESSAGE_BYTES_MAX)?;
        let answer = match message {
            SnapshotMessage::Ask => {
                let (kv, height) = {
                    let core = self.shared.core();
                    (Arc::clone(&core.kv), core.state.height())
                };
                let lowest = prune::lowest(kv.as_ref())?.max(height.saturating_sub(ENGINE_BLOCKS));
                SnapshotMessage::Holds { height, lowest }
            }
            SnapshotMessage::Holds { height, lowest } => {
                self.holds.insert(peer.clone(), Holds { height, lowest, at: time });
                return Ok(false);
            }
            SnapshotMessage::WantManifest => {
                let offer = self.shared.core().snapshot_offer();
                served(self.shelf.manifest(offer, time))?
            }
            SnapshotMessage::WantChunk { snapshot, index } => {
                served(self.shelf.chunk(snapshot, index, time))?
            }
            other => {
                let answer = self.receive(peer, other, time)?;
                if let Some(answer) = answer {
                    send(sender, Recipients::One(peer.clone()), &answer);
                }
                return Ok(false);
            }
        };
        let is_chunk = matches!(answer, SnapshotMessage::Chunk { .. });
        send(sender, Recipients::One(peer.clone()), &answer);
        Ok(is_chunk)
    }

    /// Takes what was asked for, and says what to ask for next.
    fn receive(
        &mut self,
        peer: &Key,
        message: SnapshotMessage,
        time: TimeMs,
    ) -> Result<Option<SnapshotMessage>, Reason> {
        let Some(mut download) = self.download.take_if(|download| download.peer == *peer) else {
            return Ok(None);
        };
        download.heard = time;
        let taken = match (message, download.restore.take()) {
            (SnapshotMessage::Manifest(bytes), None) => self.begin(&bytes).map(Some),
            (SnapshotMessage::Chunk { snapshot, index, bytes }, Some(mut restore)) => {
                let is_next = restore.hash() == snapshot && restore.next() == Some(index);
                let taken = if is_next { restore.take(&bytes) } else { Err(Reason::NotFound) };
                taken.map(|()| Some(restore))
            }
            // It has another one by now; the next look asks others first.
            (SnapshotMessage::Gone, _) => Err(Reason::NotFound),
            (_, restore) => Ok(restore),
        };
        match taken {
            Ok(Some(restore)) => match restore.next() {
                Some(index) => {
                    let snapshot = restore.hash();
                    download.restore = Some(restore);
                    self.download = Some(download);
                    Ok(Some(SnapshotMessage::WantChunk { snapshot, index }))
                }
                None => self.finish(peer, restore, time).map(|()| None),
            },
            Ok(None) => Ok(None),
            Err(reason) => self.refuse(peer, reason).map(|()| None),
        }
    }

    fn begin(&self, manifest: &[u8]) -> Result<Restore, Reason> {
        let (kv, genesis, head) = {
            let core = self.shared.core();
            (Arc::clone(&core.kv), Arc::clone(&core.genesis), core.state.height())
        };
        Restore::begin(kv, genesis, manifest, head)
    }

    /// Verifies all of it and goes on from there.
    fn finish(&mut self, peer: &Key, restore: Restore, time: TimeMs) -> Result<(), Reason> {
        let verified = match restore.verify() {
            Ok(verified) => verified,
            Err(reason) => {
                restore.abandon()?;
                return self.refuse(peer, reason);
            }
        };
        let finality = restore.finality().clone();
        {
            let mut core = self.shared.core();
            if core.tip.height != core.state.height() {
                // A block has come after all and is being written.
                return restore.abandon();
            }
            // Storage holds parts of both states until this ends, so nobody else may use it.
            restore.finish(&verified).map_err(|_| Reason::StorageFailed)?;
            core.reopen(time).map_err(|_| Reason::StorageCorrupt)?;
            self.schemes.learn(&core.state)?;
        }
        let floor = self.schemes.finalization(&finality, &verified.certified)?;
        self.shared.want_nothing();
        tracing::info!(height = verified.state.height(), "goes on from a snapshot");
        self.engine.set_floor(floor);
        self.standing = (verified.state.height(), time);
        self.refused.clear();
        self.shared.change();
        Ok(())
    }

    fn refuse(&mut self, peer: &Key, reason: Reason) -> Result<(), Reason> {
        if reason == Reason::StorageFailed {
            return Err(reason);
        }
        tracing::warn!(%peer, code = reason.code(), "refused a snapshot");
        self.refused.insert(peer.clone());
        Ok(())
    }
}

/// The greatest height that more validators than can be faulty say to have; none when no more than
/// those say anything.
fn believed(mut heights: Vec<u64>, faulty: usize) -> Option<u64> {
    heights.sort_unstable_by(|one, other| other.cmp(one));
    heights.get(faulty).copied()
}

/// What is damaged here is no snapshot for others; that somebody asks for it ends nothing.
fn served(answer: Result<SnapshotMessage, Reason>) -> Result<SnapshotMessage, Reason> {
    match answer {
        Err(Reason::StorageCorrupt) => {
            tracing::error!("no snapshot can be made: what is stored is damaged");
            Ok(SnapshotMessage::Gone)
        }
        answer => answer,
    }
}

fn send(sender: &mut impl Sender<PublicKey = Key>, to: Recipients<Key>, message: &SnapshotMessage) {
    sender.send(to, message.to_bytes(), false);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_height_that_only_the_faulty_claim_is_not_believed() {
        assert_eq!(believed(vec![u64::MAX, 40, 42], 1), Some(42));
        assert_eq!(believed(vec![7, 7], 1), Some(7));
        assert_eq!(believed(vec![u64::MAX], 1), None);
        assert_eq!(believed(Vec::new(), 0), None);
    }

    #[test]
    fn damage_here_is_not_there_for_others_and_failed_storage_is_a_failure() {
        assert_eq!(served(Err(Reason::StorageCorrupt)), Ok(SnapshotMessage::Gone));
        assert_eq!(served(Err(Reason::StorageFailed)), Err(Reason::StorageFailed));
        assert_eq!(served(Ok(SnapshotMessage::Ask)), Ok(SnapshotMessage::Ask));
    }
}

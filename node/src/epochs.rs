//! One instance of the engine for each epoch: started when all blocks of the epochs before are
//! executed, ended when the epoch's last block is.
//!
//! Invariant: what is said in one epoch is never heard in another; votes, certificates and requests
//! travel in a channel of their own for each. A node that is no validator of an epoch follows it:
//! its engine verifies and never signs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use commonware_codec::DecodeExt as _;
use commonware_consensus::marshal::standard::Inline;
use commonware_consensus::simplex;
use commonware_consensus::simplex::config::{Floor, ForwardPolicy, SkipBudget, SkipPolicy};
use commonware_consensus::simplex::elector::RoundRobin;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::types::{Epoch, Height, ViewDelta};
use commonware_cryptography::Sha256;
use commonware_cryptography::certificate::Scheme as _;
use commonware_cryptography::ed25519;
use commonware_cryptography::sha256::Digest;
use commonware_p2p::utils::mux::{Builder as _, MuxHandle, Muxer};
use commonware_parallel::Sequential;
use commonware_runtime::Handle;
use commonware_utils::channel::mpsc;
use commonware_utils::vec::NonEmptyVec;
use commonware_utils::{NZDuration, NZUsize};
use futures::FutureExt as _;
use futures::future::Either;
use tallystick_kernel::{DurationMs, Reason, TimeMs};

use crate::application::now;
use crate::archive;
use crate::block::Block;
use crate::config::{LEADER_GRACE, MAILBOX, SKIP_AFTER};
use crate::consensus::{Consensus, Judge, Mailbox, epochs};
use crate::presence::Announced;
use crate::snapshot_restore;
use crate::validator::{Incoming, Outgoing, Peers, Runtime};

/// How often a node that is epochs behind asks for the end of its own at most.
const PER_HINT: Duration = Duration::from_millis(200);

type Inlined<E, A> = Inline<E, Scheme, A, Block, commonware_consensus::types::FixedEpocher>;
type Ends<S, R> = (S, R);
/// A message in a channel of an epoch that this node is not in.
type Stray = (u64, commonware_p2p::Message<ed25519::PublicKey>);

/// The channels of votes, certificates and requests, each divided by epoch.
struct Divided<S: Outgoing> {
    votes: MuxHandle<S>,
    certificates: MuxHandle<S>,
    requests: MuxHandle<S>,
    strays: mpsc::Receiver<Stray>,
}

impl<S: Outgoing> Divided<S> {
    fn new<E: Runtime, R: Incoming>(
        context: &E,
        (votes, certificates, requests): (Ends<S, R>, Ends<S, R>, Ends<S, R>),
    ) -> Divided<S> {
        let channel = context.child("votes_by_epoch");
        let (muxer, vote_handle, strays) =
            Muxer::builder(channel, votes.0, votes.1).with_backup().build();
        muxer.start();
        let channel = context.child("certificates_by_epoch");
        let (muxer, certificate_handle) = Muxer::new(channel, certificates.0, certificates.1);
        muxer.start();
        let channel = context.child("requests_by_epoch");
        let (muxer, request_handle) = Muxer::new(channel, requests.0, requests.1);
        muxer.start();
        Divided {
            votes: vote_handle,
            certificates: certificate_handle,
            requests: request_handle,
            strays,
        }
    }
}

/// Why the wait for the end of an epoch was over.
enum Woken {
    /// Something was executed, perhaps the epoch's last block.
    Changed,
    /// The engine has ended by itself.
    Ended,
    /// This peer is in another epoch.
    Stray(u64, ed25519::PublicKey),
}

impl<P: Peers> Consensus<P> {
    /// Agrees on what follows the final blocks in `mailbox`, epoch after epoch. Returns when a part
    /// of the engine has failed, and why.
    pub async fn agree<E: Runtime, S: Outgoing, R: Incoming>(
        self,
        context: &E,
        application: impl Judge<E>,
        mailbox: Mailbox,
        channels: (Ends<S, R>, Ends<S, R>, Ends<S, R>),
    ) -> Reason {
        let mut divided = Divided::new(context, channels);
        let blocks = self.genesis.parameters.epoch_blocks();
        let inline =
            Inline::new(context.child("inline"), application, mailbox.clone(), epochs(blocks));
        loop {
            let members = self.shared.core().members();
            let epoch = members.epoch;
            self.shared.enter(members);
            let started = self.start(context, epoch, &inline, &mut divided).await;
            let mut engine = match started {
                Ok(engine) => engine,
                Err(reason) => return reason,
            };
            let ended = self.follow(context, epoch, &mailbox, &mut engine, &mut divided).await;
            engine.abort();
            if !ended {
                return Reason::Internal;
            }
            tracing::info!(epoch, "the epoch has ended");
            if epoch > 1 {
                // What it signed a whole epoch ago can matter to nobody: that epoch is final.
                drop(context.remove(&partition(epoch - 1), None).await);
            }
        }
    }

    /// Waits until the epoch's last block is executed and written; false when the engine ends before.
    async fn follow<E: Runtime, S: Outgoing>(
        &self,
        context: &E,
        epoch: u64,
        mailbox: &Mailbox,
        engine: &mut Handle<()>,
        divided: &mut Divided<S>,
    ) -> bool {
        let mut hinted = TimeMs(0);
        loop {
            let change = self.shared.next_change();
            if self.shared.core().epoch() > epoch {
                return true;
            }
            let woken = {
                let changed = std::pin::pin!(change.map(|()| Woken::Changed));
                let ended = std::pin::pin!((&mut *engine).map(|_| Woken::Ended));
                let stray = std::pin::pin!(divided.strays.recv().map(|stray| match stray {
                    Some((theirs, (peer, _))) => Woken::Stray(theirs, peer),
                    None => Woken::Ended,
                }));
                let either = futures::future::select(ended, stray);
                match futures::future::select(changed, either).await {
                    Either::Left((woken, _)) => woken,
                    Either::Right((Either::Left((woken, _)) | Either::Right((woken, _)), _)) => {
                        woken
                    }
                }
            };
            match woken {
                Woken::Changed => {}
                Woken::Ended => return false,
                Woken::Stray(theirs, peer) => {
                    let time = now(context);
                    let is_due = time.0.abs_diff(hinted.0) >= PER_HINT.as_millis() as u64;
                    let can_end = self.genesis.parameters.governance.is_some();
                    if can_end && theirs > epoch && is_due {
                        hinted = time;
                        let next = self.genesis.parameters.first_of(epoch.saturating_add(1));
                        mailbox.hint_finalized(
                            Height::new(next.saturating_sub(1)),
                            NonEmptyVec::new(peer),
                        );
                    }
                }
            }
        }
    }

    async fn start<E: Runtime, S: Outgoing, A: Judge<E>>(
        &self,
        context: &E,
        epoch: u64,
        inline: &Inlined<E, A>,
        divided: &mut Divided<S>,
    ) -> Result<Handle<()>, Reason> {
        let scheme = self.schemes.of(epoch).ok_or(Reason::Internal)?;
        let floor = self.floor(epoch)?;
        let idle = Duration::from_millis(self.genesis.parameters.idle_interval.0);
        let grace = Duration::from_millis(LEADER_GRACE.0);
        let skip_after = idle + grace * 2 + Duration::from_millis(SKIP_AFTER.0);
        let engine = simplex::Engine::new(
            context.child("engine").with_attribute("epoch", epoch),
            simplex::Config {
                scheme: Scheme::clone(&scheme),
                elector: RoundRobin::<Sha256>::default(),
                blocker: self.peers.clone(),
                automaton: inline.clone(),
                relay: inline.clone(),
                reporter: inline.clone(),
                strategy: Sequential,
                partition: partition(epoch),
                mailbox_size: NZUsize!(MAILBOX),
                epoch: Epoch::new(epoch),
                floor,
                replay_buffer: NZUsize!(1 << 20),
                write_buffer: NZUsize!(1 << 16),
                page_cache: self.pages.clone(),
                leader_timeout: idle + grace,
                certification_timeout: idle + grace * 2,
                timeout_retry: idle,
                view_retention: ViewDelta::new(20),
                skip: SkipPolicy::Enabled { timeout: skip_after, budget: SkipBudget::Participants },
                fetch_timeout: NZDuration!(Duration::from_secs(1)),
                fetch_retry_delay: Duration::from_millis(100),
                forward: ForwardPolicy::SilentVoters,
                track_historical_votes: false,
            },
        );
        let votes = divided.votes.register(epoch).await;
        let certificates = divided.certificates.register(epoch).await;
        let requests = divided.requests.register(epoch).await;
        let (Ok(votes), Ok(certificates), Ok(requests)) = (votes, certificates, requests) else {
            return Err(Reason::Internal);
        };
        let limit = DurationMs(skip_after.as_millis() as u64);
        let heard = self.shared.heard_within(limit, now(context));
        let heard = heard
            .iter()
            .filter_map(|key| ed25519::PublicKey::decode(Bytes::copy_from_slice(key.bytes())).ok());
        let votes = (votes.0, Announced::new(votes.1, &scheme, epoch, heard.collect()));
        tracing::info!(epoch, signs = scheme.me().is_some(), "an epoch begins");
        Ok(engine.start(votes, certificates, requests))
    }

    /// What an epoch builds on: the last block of the epochs before, or the block of this epoch with
    /// which a snapshot ended.
    fn floor(&self, epoch: u64) -> Result<Floor<Scheme, Digest>, Reason> {
        let kv = Arc::clone(&self.shared.core().kv);
        if let Some((header, finality)) = snapshot_restore::floor(kv.as_ref())?
            && header.epoch == epoch
        {
            return Ok(Floor::Finalized(self.schemes.finalization(&finality, &header)?));
        }
        let height = self.genesis.parameters.first_of(epoch).saturating_sub(1);
        if height == 0 {
            return Ok(Floor::Genesis(self.first_block().1));
        }
        let last = archive::block(kv.as_ref(), height)?.ok_or(Reason::StorageCorrupt)?;
        Ok(Floor::Genesis(Digest::from(last.header.id().0)))
    }
}

/// Where the engine keeps its votes of an epoch.
fn partition(epoch: u64) -> String {
    if epoch == 0 { "simplex".to_owned() } else { format!("simplex-{epoch}") }
}

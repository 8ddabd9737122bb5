//! What an engine hears first: that validators which spoke lately are there.
//!
//! An engine gives up the view of a leader at once that was silent for long while the others spoke.
//! One that has just begun has heard nobody, so that whoever is the last to vote in its first view
//! would count as silent, though it spoke all the time: two voters that think so are enough to lose
//! its view. What each node has heard of the others beside consensus tells who is there.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use commonware_codec::Encode as _;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types::{Nullify, Vote};
use commonware_consensus::types::{Epoch, Round, View};
use commonware_cryptography::ed25519;
use commonware_cryptography::sha256::Digest;
use commonware_p2p::{Message, Receiver};
use commonware_runtime::IoBuf;

use crate::validator::Incoming;

type Key = ed25519::PublicKey;

/// The votes of an epoch, with a sign of each validator that was heard lately before them.
#[derive(Debug)]
pub struct Announced<R> {
    inner: R,
    first: VecDeque<Message<Key>>,
}

impl<R: Incoming> Announced<R> {
    /// Before what comes through `inner`. The sign is a vote against view zero, which no view is and
    /// nobody counts; it is signed by this node and never leaves it. One that only follows needs
    /// none.
    pub fn new(inner: R, scheme: &Scheme, epoch: u64, heard: Vec<Key>) -> Announced<R> {
        let round = Round::new(Epoch::new(epoch), View::zero());
        let sign = Nullify::sign::<Digest>(scheme, round).map(Vote::<Scheme, Digest>::Nullify);
        let sign = sign.map(|sign| IoBuf::from(sign.encode()));
        let first = heard.into_iter().filter_map(|key| Some((key, sign.clone()?))).collect();
        Announced { inner, first }
    }
}

impl<R: Incoming> Receiver for Announced<R> {
    type Error = R::Error;
    type PublicKey = Key;

    async fn recv(&mut self) -> Result<Message<Key>, R::Error> {
        match self.first.pop_front() {
            Some(message) => Ok(message),
            None => self.inner.recv().await,
        }
    }

    fn capacity(&self) -> NonZeroUsize {
        self.inner.capacity()
    }
}

//! A sending end that counts the bytes that it hands to the network.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use commonware_actor::{Feedback, Unreliable};
use commonware_p2p::{CheckedSender, LimitedSender, Recipients};
use commonware_runtime::{Buf as _, IoBufs};

/// The names of a network's channels, in the order of their numbers.
pub const CHANNELS: [&str; 7] =
    ["votes", "certificates", "requests", "backfill", "blocks", "gossip", "snapshots"];

/// Bytes of messages that were handed to the network, once for each recipient, by channel.
#[derive(Debug, Default)]
pub struct SentBytes([AtomicU64; CHANNELS.len()]);

impl SentBytes {
    /// So far, in the order of [`CHANNELS`].
    pub fn so_far(&self) -> [u64; CHANNELS.len()] {
        std::array::from_fn(|channel| self.0[channel].load(Ordering::Relaxed))
    }
}

/// A sending end of one channel.
#[derive(Clone)]
pub struct Counted<S> {
    inner: S,
    channel: usize,
    sent: Arc<SentBytes>,
}

impl<S> Counted<S> {
    /// Counts what goes through `inner` for the channel of this number.
    pub fn new(inner: S, channel: usize, sent: &Arc<SentBytes>) -> Counted<S> {
        Counted { inner, channel, sent: Arc::clone(sent) }
    }
}

/// A message's way to recipients that have room.
pub struct CountedChecked<C> {
    inner: C,
    channel: usize,
    sent: Arc<SentBytes>,
}

impl<S: LimitedSender> LimitedSender for Counted<S> {
    type PublicKey = S::PublicKey;
    type Checked<'a> = CountedChecked<S::Checked<'a>>;

    fn check(
        &mut self,
        recipients: Recipients<Self::PublicKey>,
    ) -> Result<Self::Checked<'_>, SystemTime> {
        let (channel, sent) = (self.channel, Arc::clone(&self.sent));
        let inner = self.inner.check(recipients)?;
        Ok(CountedChecked { inner, channel, sent })
    }
}

impl<C: CheckedSender> CheckedSender for CountedChecked<C> {
    type PublicKey = C::PublicKey;

    fn recipients(&self) -> Vec<Self::PublicKey> {
        self.inner.recipients()
    }

    fn send(self, message: impl Into<IoBufs> + Send, priority: bool) -> Unreliable<Feedback> {
        let message: IoBufs = message.into();
        let bytes = message.remaining() * self.inner.recipients().len();
        if let Some(count) = self.sent.0.get(self.channel) {
            count.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        self.inner.send(message, priority)
    }
}

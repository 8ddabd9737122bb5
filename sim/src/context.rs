//! The runtime as one node sees it: its own clock, which may be wrong, and its own part of the
//! engine's storage.

use std::convert::Infallible;
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use commonware_runtime::telemetry::metrics::{Metric, Registered};
use commonware_runtime::{
    BlobVersion, Clock, Error, Handle, Metrics, Name, Spawner, Storage, Supervisor, deterministic,
    signal,
};
use rand::{Rng, TryCryptoRng, TryRng};

/// How far a node's clock is ahead, in milliseconds; negative when it is behind.
#[derive(Clone, Debug, Default)]
pub struct Skew(Arc<AtomicI64>);

impl Skew {
    /// A clock that is ahead by so many milliseconds.
    pub fn ahead(milliseconds: i64) -> Skew {
        Skew(Arc::new(AtomicI64::new(milliseconds)))
    }

    /// Sets the clock right.
    pub fn correct(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// What the node's clock shows at the true time.
    pub fn shown(&self, time: SystemTime) -> SystemTime {
        let by = self.0.load(Ordering::Relaxed);
        let length = Duration::from_millis(by.unsigned_abs());
        if by >= 0 { time + length } else { time - length }
    }

    fn truth(&self, shown: SystemTime) -> SystemTime {
        let by = self.0.load(Ordering::Relaxed);
        let length = Duration::from_millis(by.unsigned_abs());
        let truth = if by >= 0 { shown.checked_sub(length) } else { shown.checked_add(length) };
        // Who waits without end names the last time that there is.
        truth.unwrap_or(shown)
    }
}

/// The deterministic runtime with a node's clock and a prefix of its own in storage.
pub struct NodeContext {
    inner: deterministic::Context,
    skew: Skew,
    prefix: Arc<str>,
}

impl NodeContext {
    /// For one node, under its prefix.
    pub fn new(inner: deterministic::Context, skew: Skew, prefix: &str) -> NodeContext {
        NodeContext { inner, skew, prefix: prefix.into() }
    }

    fn around(&self, inner: deterministic::Context) -> NodeContext {
        NodeContext { inner, skew: self.skew.clone(), prefix: Arc::clone(&self.prefix) }
    }

    fn own(&self, partition: &str) -> String {
        format!("{}-{partition}", self.prefix)
    }
}

impl Supervisor for NodeContext {
    fn name(&self) -> Name {
        self.inner.name()
    }

    fn child(&self, label: &'static str) -> Self {
        self.around(self.inner.child(label))
    }

    fn with_attribute(self, key: &'static str, value: impl std::fmt::Display) -> Self {
        let NodeContext { inner, skew, prefix } = self;
        NodeContext { inner: inner.with_attribute(key, value), skew, prefix }
    }
}

impl Spawner for NodeContext {
    fn shared(self, blocking: bool) -> Self {
        let NodeContext { inner, skew, prefix } = self;
        NodeContext { inner: inner.shared(blocking), skew, prefix }
    }

    fn dedicated(self) -> Self {
        let NodeContext { inner, skew, prefix } = self;
        NodeContext { inner: inner.dedicated(), skew, prefix }
    }

    fn spawn<F, Fut, T>(self, task: F) -> Handle<T>
    where
        F: FnOnce(Self) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let NodeContext { inner, skew, prefix } = self;
        inner.spawn(move |inner| task(NodeContext { inner, skew, prefix }))
    }

    fn stop(
        self,
        value: i32,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        self.inner.stop(value, timeout)
    }

    fn stopped(&self) -> signal::Signal {
        self.inner.stopped()
    }
}

impl Metrics for NodeContext {
    fn register<N: Into<String>, H: Into<String>, M: Metric>(
        &self,
        name: N,
        help: H,
        metric: M,
    ) -> Registered<M> {
        self.inner.register(name, help, metric)
    }

    fn encode(&self) -> String {
        self.inner.encode()
    }
}

impl governor::clock::Clock for NodeContext {
    type Instant = SystemTime;

    fn now(&self) -> SystemTime {
        self.current()
    }
}

impl governor::clock::ReasonablyRealtime for NodeContext {}

impl Clock for NodeContext {
    fn current(&self) -> SystemTime {
        self.skew.shown(self.inner.current())
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.inner.sleep(duration)
    }

    fn sleep_until(
        &self,
        deadline: SystemTime,
    ) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.inner.sleep_until(self.skew.truth(deadline))
    }
}

impl Storage for NodeContext {
    type Blob = deterministic::Blob;

    async fn open_versioned(
        &self,
        partition: &str,
        name: &[u8],
        versions: RangeInclusive<BlobVersion>,
    ) -> Result<(Self::Blob, u64, BlobVersion), Error> {
        self.inner.open_versioned(&self.own(partition), name, versions).await
    }

    async fn remove(&self, partition: &str, name: Option<&[u8]>) -> Result<(), Error> {
        self.inner.remove(&self.own(partition), name).await
    }

    async fn scan(&self, partition: &str) -> Result<Vec<Vec<u8>>, Error> {
        self.inner.scan(&self.own(partition)).await
    }
}

impl TryRng for NodeContext {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.inner.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.inner.next_u64())
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.inner.fill_bytes(out);
        Ok(())
    }
}

impl TryCryptoRng for NodeContext {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_wrong_shows_another_time_and_its_deadlines_are_meant_by_it() {
        let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(43_200);
        for by in [-1500, 0, 1500] {
            let skew = Skew::ahead(by);
            assert_eq!(skew.truth(skew.shown(noon)), noon);
            assert_eq!(skew.shown(noon) > noon, by > 0);
            skew.correct();
            assert_eq!(skew.shown(noon), noon);
        }
    }
}

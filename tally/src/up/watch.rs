//! Whether the roles that live also answer: each is asked for its `/livez` again and again.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tallystick_api::Client;
use tallystick_kernel::{DurationMs, Reason};

use super::children::Running;

/// Asks the roles of a network, and knows since when each has been silent.
pub struct Watch {
    roles: Vec<Watched>,
    patience: Duration,
    next_look: Instant,
}

struct Watched {
    client: Client,
    silent: Silence,
}

/// Since when a role has not answered.
#[derive(Clone, Copy, Debug)]
struct Silence {
    since: Instant,
    asked: u32,
    is_reported: bool,
}

impl Watch {
    /// Watches these roles; one that has not answered for `patience` is silent.
    pub fn new(children: &[Running], patience: Duration) -> Result<Watch, Reason> {
        let now = Instant::now();
        let watched = |child: &Running| -> Result<Watched, Reason> {
            let client = Client::new(&child.role.url())?;
            let client = client.with_deadline(ANSWER_TIME_MAX).with_attempts(1);
            Ok(Watched { client, silent: Silence::begin(now) })
        };
        let roles = children.iter().map(watched).collect::<Result<_, _>>()?;
        Ok(Watch { roles, patience, next_look: now + pause(patience) })
    }

    /// Waits for the next look and asks all; gives the roles that have just become silent.
    ///
    /// Dropped before it is done, it has changed nothing but answers that it took note of.
    pub async fn next(&mut self) -> Vec<usize> {
        tokio::time::sleep_until(self.next_look.into()).await;
        let asked = join_all(
            self.roles
                .iter()
                .map(|role| async { role.client.get_bytes("/livez", "text/plain").await.is_ok() }),
        );
        let answers = asked.await;
        let now = Instant::now();
        self.next_look = now + pause(self.patience);
        let patience = self.patience;
        let observed = self.roles.iter_mut().zip(answers).enumerate();
        observed
            .filter_map(|(index, (role, answered))| {
                role.silent.observe(answered, now, patience).then_some(index)
            })
            .collect()
    }

    /// Begins anew with a role that was started again.
    pub fn forget(&mut self, index: usize) {
        if let Some(role) = self.roles.get_mut(index) {
            role.silent = Silence::begin(Instant::now());
        }
    }

    /// How long a role may be silent.
    pub fn patience(&self) -> Duration {
        self.patience
    }
}

impl Silence {
    fn begin(now: Instant) -> Silence {
        Silence { since: now, asked: 0, is_reported: false }
    }

    /// Takes note of an answer or its absence; true when the silence has just become too long.
    ///
    /// It was asked several times by then: that we ourselves were held up is no silence of others.
    fn observe(&mut self, answered: bool, now: Instant, patience: Duration) -> bool {
        if answered {
            *self = Silence::begin(now);
            return false;
        }
        self.asked += 1;
        let is_long = now.duration_since(self.since) >= patience && self.asked >= ASKED_MIN;
        let is_new = is_long && !self.is_reported;
        self.is_reported |= is_long;
        is_new
    }
}

/// The time between two looks.
fn pause(patience: Duration) -> Duration {
    (patience / 4).min(PAUSE_MAX)
}

const ANSWER_TIME_MAX: DurationMs = DurationMs(2000);
const PAUSE_MAX: Duration = Duration::from_secs(5);
const ASKED_MIN: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn a_silence_is_reported_once_when_it_is_long_and_was_asked_into_often_enough() {
        let begin = Instant::now();
        let mut silent = Silence::begin(begin);
        let mut after = |seconds: u64, answered: bool| {
            silent.observe(answered, begin + Duration::from_secs(seconds), PATIENCE)
        };
        assert!(!after(60, false), "we were held up: it was asked once only");
        assert!(after(61, false));
        assert!(!after(66, false), "it is reported once");
        assert!(!after(70, true));
        assert!(!after(90, false) && !after(99, false));
        assert!(after(100, false), "a new silence is reported anew");
    }

    #[test]
    fn a_role_is_asked_several_times_before_patience_ends() {
        assert_eq!(pause(PATIENCE), PAUSE_MAX);
        assert_eq!(pause(Duration::from_secs(4)), Duration::from_secs(1));
    }
}

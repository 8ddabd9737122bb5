//! The risk policy: named rules with weights, and the sum from which on nothing is released.

use tallystick_kernel::{DurationMs, Reason, TimeMs};

/// A named policy; part of the provisioner's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RiskPolicy {
    /// The name, for logs and audit.
    pub name: String,
    /// Requests of one device for one account in a day that are not unusual.
    pub account_requests_usual: u64,
    /// Requests of one device in a day that are not unusual.
    pub device_requests_usual: u64,
    /// Points for each request above what is usual.
    pub request_points: u64,
    /// Points for each wrong code of the device today.
    pub wrong_code_points: u64,
    /// A device that was first seen less than this long ago is new.
    pub device_new_for: DurationMs,
    /// Points for a new device.
    pub device_new_points: u64,
    /// From this sum on the request is refused.
    pub points_max: u64,
}

impl Default for RiskPolicy {
    fn default() -> RiskPolicy {
        RiskPolicy {
            name: "standard".to_owned(),
            account_requests_usual: 5,
            device_requests_usual: 5,
            request_points: 10,
            wrong_code_points: 10,
            device_new_for: DurationMs::minutes(24 * 60),
            device_new_points: 10,
            points_max: 100,
        }
    }
}

/// What is known about a request's device. What other devices do for the same account is not part
/// of it: a stranger could raise the holder's risk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// Requests of the device for this account today, this one included.
    pub account_requests: u64,
    /// Requests of the device today, this one included.
    pub device_requests: u64,
    /// Wrong codes of the device today.
    pub wrong_codes: u64,
    /// When the device was first seen.
    pub device_first_seen: Option<TimeMs>,
}

impl RiskPolicy {
    /// The points of a request at `now`.
    pub fn points(&self, signals: &Signals, now: TimeMs) -> u64 {
        let above = |count: u64, usual: u64| count.saturating_sub(usual);
        let requests = above(signals.account_requests, self.account_requests_usual)
            .saturating_add(above(signals.device_requests, self.device_requests_usual));
        let is_new =
            signals.device_first_seen.is_none_or(|seen| now < seen.after(self.device_new_for));
        requests
            .saturating_mul(self.request_points)
            .saturating_add(signals.wrong_codes.saturating_mul(self.wrong_code_points))
            .saturating_add(if is_new { self.device_new_points } else { 0 })
    }

    /// [`Reason::RiskTooHigh`] from [`RiskPolicy::points_max`] on.
    pub fn check(&self, signals: &Signals, now: TimeMs) -> Result<(), Reason> {
        if self.points(signals, now) < self.points_max { Ok(()) } else { Err(Reason::RiskTooHigh) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_adds_its_points() {
        let policy = RiskPolicy::default();
        let now = TimeMs(1_800_000_000_000);
        let calm = Signals { device_first_seen: Some(TimeMs(0)), ..Signals::default() };
        assert_eq!(policy.points(&calm, now), 0);
        assert_eq!(policy.points(&Signals::default(), now), 10);
        assert_eq!(policy.points(&Signals { account_requests: 7, ..calm }, now), 20);
        assert_eq!(policy.points(&Signals { device_requests: 6, ..calm }, now), 10);
        let wrong = Signals { wrong_codes: 9, ..calm };
        assert_eq!(policy.check(&wrong, now), Ok(()));
        let wrong = Signals { wrong_codes: 10, ..calm };
        assert_eq!(policy.check(&wrong, now), Err(Reason::RiskTooHigh));
        let huge = Signals { account_requests: u64::MAX, wrong_codes: u64::MAX, ..calm };
        assert_eq!(policy.check(&huge, now), Err(Reason::RiskTooHigh));
    }
}

//! Which HTTP status goes with which reason: one closed table.

use tallystick_kernel::{Group, Reason};

/// The HTTP status (RFC 9110 section 15) of a refusal.
///
/// 400 for bytes of the wrong form, 401 and 403 for who asks, 404 for what is not there, 409 for
/// what is used up or in use, 410 for what is over, 413 for size, 422 for what is well formed and
/// still not right, 429 for too much, 5xx for what is not the caller's fault. Programs should read
/// the problem's `code`, not the status.
pub const fn status_of(reason: Reason) -> u16 {
    use Reason as R;
    match reason {
        R::TooLarge => 413,
        R::CertificateMalformed | R::RequestMalformed => 400,
        R::PrefixUnknown | R::CoseMalformed | R::CriticalHeaderUnknown => 400,
        R::ClaimMissing | R::ClaimMalformed | R::PayloadDetached | R::DuplicateKey => 400,
        R::AuthorizationCodeMalformed | R::CredentialMalformed => 400,
        R::Unauthenticated | R::LoginWrong | R::ProofOfPossession => 401,
        R::TokenBlocked | R::AuthorizationDenied | R::RiskTooHigh => 403,
        R::DeviceMismatch | R::KeyIdBlocked | R::Forbidden => 403,
        R::AccountUnknown | R::CurrencyUnknown | R::TokenUnknown => 404,
        R::AuthorizationUnknown | R::DeviceCodeUnknown | R::HolderUnknown | R::NotFound => 404,
        R::MethodNotAllowed => 405,
        R::CodeReplayed | R::NoReserveFits | R::RequestUsed | R::HolderExists => 409,
        R::Conflict | R::AccountLinked | R::AccountNotLinked | R::InProgress => 409,
        R::DeviceCodeExpired | R::AuthorizationExpired | R::Pruned => 410,
        R::PayeeUnknown | R::MandateCapExceeded | R::IdempotencyKeyReused => 422,
        R::GuessLimit | R::GuessLimitDay => 429,
        R::Unreachable | R::AnswerMalformed => 502,
        R::PoolFull | R::NotReady => 503,
        R::Timeout => 504,
        _ => status_of_group(reason.group()),
    }
}

/// The status of the other reasons of a group.
const fn status_of_group(group: Group) -> u16 {
    match group {
        Group::Form | Group::Request | Group::CommandLine => 400,
        Group::Authority => 403,
        Group::Claims => 409,
        Group::Witness
        | Group::Time
        | Group::Funds
        | Group::Proof
        | Group::Certificate
        | Group::Payment
        | Group::Provisioning => 422,
        Group::Limits => 429,
        Group::Environment => 500,
        Group::FeatureOff => 501,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_status_of_an_error() {
        for reason in Reason::ALL {
            let status = status_of(*reason);
            assert!((400..=504).contains(&status), "{reason}: {status}");
        }
    }

    #[test]
    fn a_reason_without_a_row_of_its_own_has_the_status_of_its_group() {
        assert_eq!(status_of(Reason::ClaimTaken), 409);
        assert_eq!(status_of(Reason::InsufficientFunds), 422);
        assert_eq!(status_of(Reason::NotOwner), 403);
        assert_eq!(status_of(Reason::StorageFailed), 500);
    }
}

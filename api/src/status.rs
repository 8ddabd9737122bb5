//! Which HTTP status goes with which reason: one closed table.

use tallystick_kernel::Reason;

/// The HTTP status (RFC 9110 section 15) of a refusal.
///
/// 400 for bytes of the wrong form, 401 and 403 for who asks, 404 for what is not there, 409 for
/// what is used up or in use, 410 for what is over, 413 for size, 422 for what is well formed and
/// still not right, 429 for too much, 5xx for what is not the caller's fault. Programs should read
/// the problem's `code`, not the status.
#[expect(clippy::too_many_lines, reason = "a table, and the compiler sees that no row is missing")]
pub const fn status_of(reason: Reason) -> u16 {
    use Reason as R;
    match reason {
        R::TooLarge => 413,
        R::Malformed
        | R::NotCanonical
        | R::TrailingBytes
        | R::VersionUnknown
        | R::WrongNetwork
        | R::ActionUnknown
        | R::AmountMalformed
        | R::AmountZero
        | R::CurrencyMalformed
        | R::IdMalformed
        | R::HexMalformed
        | R::ListEmpty
        | R::NamedTwice
        | R::OwnersMalformed
        | R::LockMalformed
        | R::Base45Malformed
        | R::Base64Malformed
        | R::InflateFailed
        | R::ImageUnreadable
        | R::CodeNotFound
        | R::GenesisMalformed
        | R::CertificateMalformed
        | R::RequestMalformed
        | R::PrefixUnknown
        | R::CoseMalformed
        | R::CriticalHeaderUnknown
        | R::ClaimMissing
        | R::ClaimMalformed
        | R::PayloadDetached
        | R::DuplicateKey
        | R::AuthorizationCodeMalformed
        | R::CredentialMalformed
        | R::BodyMalformed
        | R::FieldInvalid
        | R::IdempotencyKeyMissing => 400,

        R::Unauthenticated | R::LoginWrong | R::ProofOfPossession => 401,

        R::NotOwner
        | R::NotAuthority
        | R::NotMandate
        | R::PayeeNotAllowed
        | R::TokenBlocked
        | R::AuthorizationDenied
        | R::RiskTooHigh
        | R::DeviceMismatch
        | R::KeyIdBlocked
        | R::Forbidden => 403,

        R::AccountUnknown
        | R::CurrencyUnknown
        | R::TokenUnknown
        | R::AuthorizationUnknown
        | R::DeviceCodeUnknown
        | R::HolderUnknown
        | R::NotFound => 404,

        R::MethodNotAllowed => 405,

        R::ReserveUnknown
        | R::ReserveLocked
        | R::ReserveNotOwned
        | R::ReserveExpired
        | R::ReserveNotLocked
        | R::ClaimTaken
        | R::AlreadyExecuted
        | R::OutputInFlight
        | R::UnlockPending
        | R::CodeReplayed
        | R::NoReserveFits
        | R::RequestUsed
        | R::HolderExists
        | R::Conflict
        | R::AccountLinked
        | R::AccountNotLinked
        | R::InProgress => 409,

        R::DeviceCodeExpired | R::AuthorizationExpired => 410,

        R::SignatureInvalid
        | R::SignatureMissing
        | R::SignatureExtra
        | R::WitnessOrder
        | R::KeyMalformed
        | R::KeyWeak
        | R::AlgorithmNotAllowed
        | R::SignatureEncoding
        | R::Expired
        | R::NotYetValid
        | R::ValidityTooLong
        | R::ClockBehind
        | R::PayeeUnknown
        | R::MandateCapExceeded
        | R::InsufficientFunds
        | R::ReservesShort
        | R::AmountOverflow
        | R::SupplyExceeded
        | R::CurrencyMismatch
        | R::ReopenExceedsChange
        | R::NotConserved
        | R::ReceiptMismatch
        | R::PathInvalid
        | R::CertificateShort
        | R::SignerUnknown
        | R::ValidatorSetMismatch
        | R::NotPaid
        | R::RootMismatch
        | R::HeaderMismatch
        | R::EntryNotAllowed
        | R::ChainIncomplete
        | R::ChainUntrusted
        | R::CertificateExpired
        | R::CertificateNotYetValid
        | R::CertificateSignature
        | R::KeyUsageMissing
        | R::NotCertificateAuthority
        | R::PathTooLong
        | R::Revoked
        | R::RevocationUnknown
        | R::ExtensionUnknown
        | R::KeyUnknown
        | R::AccountMismatch
        | R::CodeLimitExceeded
        | R::SettlementFailed
        | R::AuthorizationCodeWrong
        | R::KeyIdUnknown
        | R::IdempotencyKeyReused => 422,

        R::GuessLimit | R::GuessLimitDay | R::RateLimited | R::AccountQuota => 429,

        R::StorageFailed
        | R::StorageCorrupt
        | R::Internal
        | R::FolderOfOtherVersion
        | R::AddressInUse
        | R::FileUnreadable
        | R::FolderInUse => 500,
        R::FeatureOff => 501,
        R::Unreachable | R::AnswerMalformed => 502,
        R::PoolFull | R::NotReady => 503,
        R::Timeout => 504,
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
}

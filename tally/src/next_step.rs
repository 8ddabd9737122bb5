//! What to do about a refusal, where nothing more is known than its reason.

use tallystick_kernel::Reason;

/// What helps with this reason, in a few words for people.
pub const fn of(reason: Reason) -> &'static str {
    use Reason as R;
    match reason {
        R::Malformed | R::NotCanonical | R::TrailingBytes | R::VersionUnknown => {
            "take the file or the text again from where it was made, with this version of tally"
        }
        R::TooLarge => "name the right file, or ask for less at once",
        R::WrongNetwork => "use the genesis file and the description of the same network",
        R::ActionUnknown | R::FeatureOff | R::RulesUnknown => {
            "use a version of tally that knows it, on every side"
        }
        R::AmountMalformed => "write major units with a point and no sign, such as 12.30",
        R::AmountZero => "name an amount above zero",
        R::CurrencyMalformed | R::CurrencyUnknown => {
            "name the network's currency, as its network.toml does"
        }
        R::IdMalformed | R::HexMalformed | R::Base45Malformed | R::Base64Malformed => {
            "copy the whole text again, with nothing before or after it"
        }
        R::ListEmpty => "name at least one",
        R::NamedTwice => "name each thing once",
        R::OwnersMalformed | R::LockMalformed => "correct the terms and sign again",
        R::InflateFailed | R::ImageUnreadable | R::CodeNotFound => {
            "take the picture again: the whole code, sharp, as PNG or JPEG"
        }
        R::ValidatorsMalformed => "name 1 to 64 different Ed25519 keys",
        R::GenesisMalformed => "fetch the network's genesis file again from someone you trust",
        R::SealUnreadable | R::CredentialMalformed => {
            "begin again with tally wallet provision --request FILE on this device"
        }
        _ => of_parties(reason),
    }
}

/// What helps with what another party decided.
const fn of_parties(reason: Reason) -> &'static str {
    use Reason as R;
    match reason {
        R::SignatureInvalid
        | R::SignatureMissing
        | R::SignatureExtra
        | R::WitnessOrder
        | R::SignatureEncoding => "do not trust it; ask for one that is signed by the right keys",
        R::KeyMalformed | R::KeyWeak | R::AlgorithmNotAllowed => {
            "make a new key with tally and use that"
        }
        R::Expired => "make or ask for a new one, and compare the clocks with tally doctor",
        R::NotYetValid | R::ClockBehind => "compare the clocks with tally doctor, then try again",
        R::ValidityTooLong => "ask for a shorter time",
        R::ActivationTooSoon => "name a height two epochs ahead or more",
        R::NotOperators => "sign as the operators that the genesis file names",
        R::ChangePending => "decide it again in the next epoch",
        R::RulesNotNext => "name the version after the one decided last, at a greater height",
        R::AccountUnknown | R::PayeeUnknown => "look whether the account is of this network",
        R::NotOwner | R::NotAuthority | R::NotMandate | R::ReserveNotOwned => {
            "use the wallet or the role that holds the key"
        }
        R::PayeeNotAllowed | R::MandateCapExceeded | R::TermsDiffer => {
            "stay within the terms of the reserves, or open others with tally wallet reserve"
        }
        R::ReserveUnknown
        | R::ReserveLocked
        | R::ReserveExpired
        | R::ReserveNotLocked
        | R::UnlockPending => "look at the reserves with tally wallet balance",
        R::ClaimTaken | R::OutputInFlight | R::AlreadyExecuted => {
            "wait until the first one is final, and look at tally wallet balance"
        }
        R::InsufficientFunds | R::ReservesShort | R::ReopenExceedsChange => {
            "name less, or have the account funded: tally issuer fund"
        }
        R::AmountOverflow | R::SupplyExceeded => "name a smaller amount",
        R::CurrencyMismatch => "use one currency throughout",
        _ => of_proofs(reason),
    }
}

/// What helps with proofs, certificates and codes that do not verify.
const fn of_proofs(reason: Reason) -> &'static str {
    use Reason as R;
    match reason {
        R::NotConserved
        | R::RootMismatch
        | R::HeaderMismatch
        | R::EntryNotAllowed
        | R::RulesMismatch
        | R::ValidatorSetMismatch => "ask another node, and tell the operator of this one",
        R::ReceiptMismatch
        | R::PathInvalid
        | R::CertificateShort
        | R::SignerUnknown
        | R::ValidatorChainBroken => {
            "do not take it for a payment; fetch the receipt again from a node"
        }
        R::NotPaid => "do not hand over the goods: ask for another payment",
        R::ChainIncomplete | R::ChainUntrusted => {
            "ask for a code with its certificate, and look which issuers the merchant trusts"
        }
        R::CertificateMalformed
        | R::CertificateExpired
        | R::CertificateNotYetValid
        | R::CertificateSignature
        | R::KeyUsageMissing
        | R::NotCertificateAuthority
        | R::PathTooLong
        | R::Revoked
        | R::ExtensionUnknown
        | R::RequestMalformed => "have the device certified again: tally wallet provision",
        R::RevocationUnknown => "let the merchant role reach the issuer, for a current list",
        R::PrefixUnknown
        | R::CoseMalformed
        | R::CriticalHeaderUnknown
        | R::ClaimMissing
        | R::ClaimMalformed
        | R::PayloadDetached
        | R::DuplicateKey
        | R::CodeReplayed
        | R::AmountDiffers => "ask the payer for a new code: tally wallet code",
        R::KeyUnknown => "ask for a code with its certificate: tally wallet code --first-contact",
        R::AccountMismatch | R::TokenUnknown => "ask the payer to link and certify the wallet anew",
        R::CodeLimitExceeded => "ask for a code bound to the amount: tally wallet code --amount",
        R::TokenBlocked => "the payer has to speak with the issuer",
        R::NoReserveFits => "the payer opens larger reserves: tally wallet reserve",
        R::AuthorizationUnknown | R::AuthorizationExpired => "charge again with a new code",
        R::SettlementFailed => "keep the charge's id and speak with the issuer",
        _ => of_service(reason),
    }
}

/// What helps with provisioning, requests and what is around us.
const fn of_service(reason: Reason) -> &'static str {
    use Reason as R;
    match reason {
        R::DeviceCodeUnknown | R::DeviceCodeExpired | R::RequestUsed | R::GuessLimit => {
            "begin again with tally wallet provision --request FILE"
        }
        R::AuthorizationCodeWrong | R::AuthorizationCodeMalformed => {
            "type the issuer's code again, letter by letter"
        }
        R::AuthorizationDenied | R::RiskTooHigh | R::KeyIdUnknown | R::KeyIdBlocked => {
            "speak with the issuer"
        }
        R::GuessLimitDay => "wait until tomorrow",
        R::DeviceMismatch | R::ProofOfPossession => "use the device that made the request",
        R::RateLimited | R::PoolFull | R::AccountQuota | R::SenderQuota | R::InProgress => {
            "wait a little, then type the command again"
        }
        R::Unauthenticated | R::LoginWrong => {
            "look at the name and the password or the key, then log in again"
        }
        R::Forbidden => "use a key that has the scope, or ask the operator for one",
        R::Pruned => "ask a node that keeps more, or use the receipt that was kept",
        R::SnapshotStale => "use a newer snapshot",
        R::NotFound | R::MethodNotAllowed => "look at the id and at the address that was asked",
        R::BodyMalformed | R::AnswerMalformed => "use the same version of tally on both sides",
        R::FieldInvalid => "correct the value that is named above",
        R::IdempotencyKeyReused | R::IdempotencyKeyMissing => "send it anew with a fresh key",
        R::HolderExists => "choose another name",
        R::HolderUnknown => "make the holder first: tally issuer account",
        R::Conflict => "look at what is there now, then type the command again",
        R::AccountLinked => "use the wallet whose account is linked, or another holder",
        R::AccountNotLinked => "link the account first: tally wallet init",
        R::UsageWrong => "read tally --help",
        R::AlreadyOther => "keep to what is there, or choose another folder with --data DIR",
        R::Unreachable => "look whether it runs, and at its address: tally doctor",
        R::Timeout | R::NotReady => "wait a little and look again: tally doctor",
        R::StorageFailed => "look at the disk: tally doctor",
        R::StorageCorrupt => {
            "of a node, move state/ledger away, keep state/engine, and start it again: it gets all \
             from the others; of another role, restore the folder from a copy that is whole"
        }
        R::FolderOfOtherVersion => "use the tally of that version, or another folder",
        R::AddressInUse => "stop the process that listens there, or choose other ports",
        R::FileUnreadable => "look at the path and at who may read and write there",
        R::FolderInUse => "stop that process, or choose another folder with --data DIR",
        R::KeyStoreUnreadable => "restore the machine.key that the store was written under",
        R::KeyNameUnknown | R::KeyNameTaken => "look at the key's name in the configuration",
        _ => IN_GENERAL,
    }
}

/// What is left when nothing else is known.
const IN_GENERAL: &str = "look into the log of the role, and run tally doctor";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_next_step_of_its_own_kind_and_only_our_own_errors_the_general_one() {
        for reason in Reason::ALL {
            let next_step = of(*reason);
            assert!(!next_step.is_empty() && !next_step.contains('\n'), "{reason}");
            assert_ne!(next_step, reason.sentence(), "{reason}");
            assert!(!next_step.ends_with('.'), "{reason}: {next_step}");
            assert_eq!(next_step == IN_GENERAL, *reason == Reason::Internal, "{reason}");
        }
    }
}

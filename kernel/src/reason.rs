//! Reason codes: one closed list whose numbers never change.
//!
//! Every refusal in the system is one of these. A number, once given, keeps its meaning; a reason
//! that is no longer used keeps its number. `0` is success in a ledger result and never a reason.

use core::fmt;

/// What a reason is about; the hundreds of its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// The bytes do not have the form that they must have.
    Form,
    /// A signature, or the set of signers, is wrong.
    Witness,
    /// Too early or too late.
    Time,
    /// Right form, wrong party.
    Authority,
    /// A thing is used up, in use, or not there.
    Claims,
    /// Money is missing, or would not fit.
    Funds,
    /// A proof or a receipt does not verify.
    Proof,
    /// Certificates and chains.
    Certificate,
    /// Payment codes and authorizations.
    Payment,
    /// Provisioning by device code and authorization code.
    Provisioning,
    /// Quotas, sizes, rates.
    Limits,
    /// The request itself: login, keys, idempotency, what was asked for.
    Request,
    /// Something around us failed: another party, the network, the disk.
    Environment,
    /// The feature is switched off or not offered by this version.
    FeatureOff,
    /// What was typed on the command line; never over HTTP.
    CommandLine,
}

macro_rules! reasons {
    ($($group:ident { $($name:ident = $number:literal $code:literal $sentence:literal)* })*) => {
        /// Why something was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Reason {$($(
            #[doc = $sentence]
            $name = $number,
        )*)*}

        impl Reason {
            /// Every reason, in the order of their numbers.
            pub const ALL: &'static [Reason] = &[$($(Reason::$name,)*)*];

            /// The stable name, in snake case, as it stands in `problem+json` and in outputs.
            pub const fn code(self) -> &'static str {
                match self {$($(Reason::$name => $code,)*)*}
            }

            /// One sentence for people.
            pub const fn sentence(self) -> &'static str {
                match self {$($(Reason::$name => $sentence,)*)*}
            }

            /// What the reason is about.
            pub const fn group(self) -> Group {
                match self {$($(Reason::$name => Group::$group,)*)*}
            }
        }
    };
}

reasons! {
    Form {
        Malformed = 100 "malformed" "The bytes do not have the form that this kind of object must have."
        NotCanonical = 101 "not_canonical" "The encoding is not the deterministic one."
        TrailingBytes = 102 "trailing_bytes" "Bytes are left over after the object."
        TooLarge = 103 "too_large" "A size, a length or a count is above its limit."
        VersionUnknown = 104 "version_unknown" "This version of the format is not known here."
        WrongNetwork = 105 "wrong_network" "The object was made for another network."
        ActionUnknown = 106 "action_unknown" "This action is not known here."
        AmountMalformed = 107 "amount_malformed" "The text is not an amount of this currency."
        AmountZero = 108 "amount_zero" "An amount must be greater than zero."
        CurrencyMalformed = 109 "currency_malformed" "A currency code is 3 to 8 upper-case letters or digits."
        IdMalformed = 110 "id_malformed" "The text is not an id of the kind that is needed here."
        HexMalformed = 111 "hex_malformed" "The text is not hexadecimal."
        ListEmpty = 112 "list_empty" "A list that needs at least one entry is empty."
        NamedTwice = 113 "named_twice" "The same thing is named twice."
        OwnersMalformed = 114 "owners_malformed" "The threshold or the keys of the owners are not usable."
        LockMalformed = 115 "lock_malformed" "The terms of the lock are not usable."
        Base45Malformed = 116 "base45_malformed" "The text is not Base45."
        Base64Malformed = 117 "base64_malformed" "The text is not Base64."
        InflateFailed = 118 "inflate_failed" "The compressed bytes cannot be inflated."
        ImageUnreadable = 119 "image_unreadable" "The file is not an image that can be read."
        CodeNotFound = 120 "code_not_found" "The image holds no QR code that can be read."
        GenesisMalformed = 121 "genesis_malformed" "The genesis file is not usable."
        SealUnreadable = 122 "seal_unreadable" "The sealed bytes do not open with this key."
        ValidatorsMalformed = 123 "validators_malformed" "A validator set is one to 64 different Ed25519 keys."
    }
    Witness {
        SignatureInvalid = 200 "signature_invalid" "A signature does not verify."
        SignatureMissing = 201 "signature_missing" "There are fewer signatures than the threshold asks for."
        SignatureExtra = 202 "signature_extra" "There are more signatures than the threshold asks for."
        WitnessOrder = 203 "witness_order" "The keys of the witness are not in their canonical order."
        KeyMalformed = 204 "key_malformed" "The bytes are not a usable public key."
        KeyWeak = 205 "key_weak" "The key has small order and is never accepted."
        AlgorithmNotAllowed = 206 "algorithm_not_allowed" "The algorithm is not the one registered for this key."
        SignatureEncoding = 207 "signature_encoding" "The signature does not have the encoding that its algorithm demands."
    }
    Time {
        Expired = 300 "expired" "It has expired."
        NotYetValid = 301 "not_yet_valid" "It is not valid yet."
        ValidityTooLong = 302 "validity_too_long" "It would stay valid for longer than is allowed."
        ClockBehind = 303 "clock_behind" "The block's time lies before its parent's."
        ActivationTooSoon = 304 "activation_too_soon" "New rules take force two epochs after they were decided at the earliest."
    }
    Authority {
        AccountUnknown = 400 "account_unknown" "There is no such account."
        NotOwner = 401 "not_owner" "The signing keys do not control the account."
        NotAuthority = 402 "not_authority" "Only the authority of the currency may do this."
        PayeeUnknown = 403 "payee_unknown" "There is no account for a payee."
        CurrencyUnknown = 404 "currency_unknown" "There is no such currency."
        NotMandate = 405 "not_mandate" "The signing key is not the mandate that the reserve is locked to."
        PayeeNotAllowed = 406 "payee_not_allowed" "The lock does not allow this payee."
        MandateCapExceeded = 407 "mandate_cap_exceeded" "The payment is above the cap that the lock sets."
        NotOperators = 408 "not_operators" "Only the operators of the network may do this."
    }
    Claims {
        ReserveUnknown = 500 "reserve_unknown" "There is no such reserve: it was never opened, or it is spent."
        ReserveLocked = 501 "reserve_locked" "The reserve is locked, and its delay has not passed."
        ReserveNotOwned = 502 "reserve_not_owned" "The reserve belongs to another account."
        ReserveExpired = 503 "reserve_expired" "The reserve has expired: it can only be closed."
        ReserveNotLocked = 504 "reserve_not_locked" "The reserve is not locked, so there is nothing to unlock."
        ClaimTaken = 505 "claim_taken" "Another transaction in flight already claims the same thing."
        AlreadyExecuted = 506 "already_executed" "The transaction was executed before."
        OutputInFlight = 507 "output_in_flight" "What it spends is made by a transaction that is not final yet."
        UnlockPending = 508 "unlock_pending" "An unlock was requested before."
        TermsDiffer = 509 "terms_differ" "The reserves differ in lock or expiry, so that none can be re-opened from their change."
        ChangePending = 510 "change_pending" "Another validator set was decided in the same epoch."
        RulesNotNext = 511 "rules_not_next" "Rules are followed by the next version only, and at a greater height."
    }
    Funds {
        InsufficientFunds = 600 "insufficient_funds" "The free balance is too small."
        ReservesShort = 601 "reserves_short" "The reserves named add up to less than the payment."
        AmountOverflow = 602 "amount_overflow" "The amount is greater than any amount can be."
        SupplyExceeded = 603 "supply_exceeded" "The supply of the currency would exceed its maximum."
        CurrencyMismatch = 604 "currency_mismatch" "The currencies differ."
        ReopenExceedsChange = 605 "reopen_exceeds_change" "The reserves to re-open add up to more than the change."
        NotConserved = 606 "not_conserved" "Value would be made or lost."
    }
    Proof {
        ReceiptMismatch = 700 "receipt_mismatch" "The parts of the receipt do not belong together."
        PathInvalid = 701 "path_invalid" "The path does not lead to the root."
        CertificateShort = 702 "certificate_short" "The finality certificate has fewer signatures than a quorum."
        SignerUnknown = 703 "signer_unknown" "A signer is not a validator, or is named twice."
        ValidatorSetMismatch = 704 "validator_set_mismatch" "The header names another validator set."
        NotPaid = 705 "not_paid" "The transaction is final, but it failed: this is not a payment."
        RootMismatch = 706 "root_mismatch" "A root in the header differs from the one that was computed."
        HeaderMismatch = 707 "header_mismatch" "The header does not follow from its parent."
        EntryNotAllowed = 708 "entry_not_allowed" "The block holds an entry that it must not hold."
        ValidatorChainBroken = 709 "validator_chain_broken" "The changes of the validator set do not lead from one to the next."
        RulesMismatch = 710 "rules_mismatch" "The block follows other rules than those in force at its height."
    }
    Certificate {
        ChainIncomplete = 800 "chain_incomplete" "No chain leads from the certificate to a trust anchor."
        ChainUntrusted = 801 "chain_untrusted" "The chain ends in a certificate that is not trusted."
        CertificateMalformed = 802 "certificate_malformed" "The bytes are not a usable certificate."
        CertificateExpired = 803 "certificate_expired" "A certificate of the chain has expired."
        CertificateNotYetValid = 804 "certificate_not_yet_valid" "A certificate of the chain is not valid yet."
        CertificateSignature = 805 "certificate_signature" "A certificate of the chain is not signed by the one above it."
        KeyUsageMissing = 806 "key_usage_missing" "The certificate does not allow its key this use."
        NotCertificateAuthority = 807 "not_certificate_authority" "A certificate of the chain signs others without being allowed to."
        PathTooLong = 808 "path_too_long" "The chain is longer than a certificate of it allows."
        Revoked = 809 "revoked" "A certificate of the chain is revoked."
        RevocationUnknown = 810 "revocation_unknown" "The revocation list is missing, stale or not from this issuer."
        ExtensionUnknown = 811 "extension_unknown" "The certificate carries a critical extension that is not known here."
        RequestMalformed = 812 "request_malformed" "The bytes are not a usable certificate request."
    }
    Payment {
        PrefixUnknown = 900 "prefix_unknown" "The text does not start as a payment code does."
        CoseMalformed = 901 "cose_malformed" "The code is not a COSE_Sign1 object of the form that is accepted."
        CriticalHeaderUnknown = 902 "critical_header_unknown" "The code demands a header that is not known here."
        ClaimMissing = 903 "claim_missing" "A claim that must be there is missing."
        ClaimMalformed = 904 "claim_malformed" "A claim has the wrong type or value."
        KeyUnknown = 905 "key_unknown" "The key that signed the code is not known; ask for a code with its certificate."
        CodeReplayed = 906 "code_replayed" "The code was used before."
        AccountMismatch = 907 "account_mismatch" "The certificate is for another account."
        CodeLimitExceeded = 908 "code_limit_exceeded" "The amount is above what an unbound code may pay."
        TokenUnknown = 909 "token_unknown" "The issuer does not know this account token."
        TokenBlocked = 910 "token_blocked" "The account token is blocked."
        NoReserveFits = 911 "no_reserve_fits" "No free reserves locked to the issuer cover the amount."
        AuthorizationUnknown = 912 "authorization_unknown" "There is no such authorization."
        AuthorizationExpired = 913 "authorization_expired" "The authorization has expired."
        SettlementFailed = 914 "settlement_failed" "The settlement failed; the issuer owes the merchant."
        PayloadDetached = 915 "payload_detached" "The payload is not inside the signed object."
        DuplicateKey = 916 "duplicate_key" "A map holds the same key twice."
        AmountDiffers = 917 "amount_differs" "The code is bound to another amount."
    }
    Provisioning {
        DeviceCodeUnknown = 1000 "device_code_unknown" "There is no pending request for this device code."
        DeviceCodeExpired = 1001 "device_code_expired" "The device code has expired; start again."
        AuthorizationCodeWrong = 1002 "authorization_code_wrong" "The authorization code is not right for this request."
        AuthorizationCodeMalformed = 1003 "authorization_code_malformed" "The text is not an authorization code: its check character does not fit."
        AuthorizationDenied = 1004 "authorization_denied" "The issuer declined; this request stays declined."
        RequestUsed = 1005 "request_used" "The request was answered before."
        GuessLimit = 1006 "guess_limit" "Too many wrong codes; the request is closed."
        GuessLimitDay = 1007 "guess_limit_day" "Too many wrong codes today for this account or device."
        RiskTooHigh = 1008 "risk_too_high" "The request was refused by the risk policy."
        KeyIdUnknown = 1009 "key_id_unknown" "No key is shared under this key id."
        DeviceMismatch = 1010 "device_mismatch" "The proof comes from another device."
        CredentialMalformed = 1011 "credential_malformed" "The credential cannot be opened with this device's key."
        KeyIdBlocked = 1012 "key_id_blocked" "The key id is blocked after too many wrong codes."
    }
    Limits {
        RateLimited = 1100 "rate_limited" "Too many requests; try again later."
        PoolFull = 1101 "pool_full" "The node holds as many waiting transactions as it can."
        AccountQuota = 1102 "account_quota" "The account has too many transactions waiting."
        SenderQuota = 1103 "sender_quota" "This sender has too many transactions waiting to be verified."
    }
    Request {
        Unauthenticated = 1200 "unauthenticated" "The request does not say who makes it."
        Forbidden = 1201 "forbidden" "This key may not do this."
        NotFound = 1202 "not_found" "There is no such thing."
        MethodNotAllowed = 1203 "method_not_allowed" "The thing exists, but not for this method."
        BodyMalformed = 1204 "body_malformed" "The body of the request cannot be read."
        FieldInvalid = 1205 "field_invalid" "A field of the request has no usable value."
        IdempotencyKeyReused = 1206 "idempotency_key_reused" "The idempotency key was used before with another request."
        IdempotencyKeyMissing = 1207 "idempotency_key_missing" "A write needs an Idempotency-Key header."
        LoginWrong = 1208 "login_wrong" "Name or password is wrong."
        HolderExists = 1209 "holder_exists" "There is a holder of this name already."
        HolderUnknown = 1210 "holder_unknown" "There is no holder of this name."
        ProofOfPossession = 1211 "proof_of_possession" "The DPoP proof is missing or wrong."
        Conflict = 1212 "conflict" "The thing was changed by someone else meanwhile."
        AccountLinked = 1213 "account_linked" "The holder has another account linked already."
        AccountNotLinked = 1214 "account_not_linked" "The holder has no account linked yet."
        InProgress = 1215 "in_progress" "The first request with this key is still being answered."
        Pruned = 1216 "pruned" "What was asked for is final, but so old that it is no longer kept here."
        SnapshotStale = 1217 "snapshot_stale" "The snapshot leads no further than what is here already."
    }
    Environment {
        Unreachable = 1300 "unreachable" "The other party cannot be reached."
        Timeout = 1301 "timeout" "The other party did not answer in time."
        StorageFailed = 1302 "storage_failed" "Reading from or writing to storage failed."
        StorageCorrupt = 1303 "storage_corrupt" "What storage holds is not what was written."
        NotReady = 1304 "not_ready" "The service is starting or has lost its quorum; try again."
        Internal = 1305 "internal" "An error of our own; the request id finds it in the log."
        FolderOfOtherVersion = 1306 "folder_of_other_version" "The data folder was written by another version."
        AddressInUse = 1307 "address_in_use" "Another process listens on the address."
        AnswerMalformed = 1308 "answer_malformed" "The other party gave an answer that cannot be read."
        FileUnreadable = 1309 "file_unreadable" "A file cannot be read or written."
        FolderInUse = 1310 "folder_in_use" "Another process works in the data folder."
        KeyStoreUnreadable = 1311 "key_store_unreadable" "The key store does not open with this key, or it was altered."
        KeyNameUnknown = 1312 "key_name_unknown" "The key store holds no key of this name."
        KeyNameTaken = 1313 "key_name_taken" "The key store holds a key of this name already."
    }
    FeatureOff {
        FeatureOff = 1400 "feature_off" "This feature is switched off here."
        RulesUnknown = 1401 "rules_unknown" "The network's rules have a version that this program does not know; install a newer one."
    }
    CommandLine {
        UsageWrong = 1500 "usage_wrong" "The command line is not understood."
        AlreadyOther = 1501 "already_other" "What is there already is not what the command line asks for."
    }
}

impl Reason {
    /// The stable number.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The reason that has this number.
    pub fn from_number(number: u16) -> Option<Reason> {
        let index = Reason::ALL.binary_search_by_key(&number, |reason| reason.number()).ok()?;
        Some(Reason::ALL[index])
    }

    /// The reason that has this name.
    pub fn from_code(code: &str) -> Option<Reason> {
        Reason::ALL.iter().copied().find(|reason| reason.code() == code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

impl core::error::Error for Reason {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::LabelledHash;
    use crate::hex;

    #[test]
    fn numbers_rise_and_names_are_unique() {
        assert!(Reason::ALL.windows(2).all(|pair| pair[0].number() < pair[1].number()));
        let mut codes: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        codes.sort_unstable();
        assert!(codes.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn a_number_and_a_name_find_their_reason() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_number(reason.number()), Some(*reason));
            assert_eq!(Reason::from_code(reason.code()), Some(*reason));
        }
        assert_eq!(Reason::from_number(0), None);
    }

    #[test]
    fn the_numbers_of_the_ledgers_groups_are_frozen() {
        let ledger = Reason::ALL.iter().filter(|reason| reason.number() < 800);
        let digest = ledger
            .fold(LabelledHash::new("reasons"), |hash, reason| {
                hash.number(u64::from(reason.number())).part(reason.code().as_bytes())
            })
            .finish();
        assert_eq!(hex::encode(&digest[..8]), "62ad2a115220a04d");
    }
}

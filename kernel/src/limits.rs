//! Every limit that two crates must agree on, with the relations between them checked when built.

use crate::time::DurationMs;

/// The greatest supply of one currency, and so the greatest amount: `2^63 - 1`.
pub const SUPPLY_MAX: u64 = i64::MAX as u64;
/// The last time that is exact in JSON: `2^53 - 1` ms.
pub const TIME_MS_MAX: u64 = (1 << 53) - 1;
/// The shortest currency code.
pub const CURRENCY_CODE_BYTES_MIN: usize = 3;
/// The longest currency code.
pub const CURRENCY_CODE_BYTES_MAX: usize = 8;
/// Decimals of a currency at most.
pub const CURRENCY_EXPONENT_MAX: u8 = 8;

/// Lines of one `transfer` or `remit`.
pub const LINES_MAX: usize = 64;
/// Reserves consumed by one action.
pub const RESERVES_IN_MAX: usize = 64;
/// Reserves opened by one action.
pub const RESERVES_OUT_MAX: usize = 64;
/// Payees that a lock may name.
pub const LOCK_PAYEES_MAX: usize = 16;
/// Owner keys of an account.
pub const OWNER_KEYS_MAX: usize = 16;
/// Bytes of an encoded transaction body.
pub const BODY_BYTES_MAX: usize = 16 * 1024;
/// Bytes of an encoded witness.
pub const WITNESS_BYTES_MAX: usize = 4 * 1024;
/// Bytes of an encoded transaction, body and witness.
pub const TRANSACTION_BYTES_MAX: usize = BODY_BYTES_MAX + WITNESS_BYTES_MAX + 16;
/// Entries of one block.
pub const BLOCK_ENTRIES_MAX: usize = 4096;
/// Bytes of a block's transactions in all, each as it is encoded, body and witness.
pub const BLOCK_TRANSACTION_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Validators of one network.
pub const VALIDATORS_MAX: usize = 64;
/// Currencies that a genesis file may name.
pub const GENESIS_CURRENCIES_MAX: usize = 64;
/// Accounts that a genesis file may open.
pub const GENESIS_ACCOUNTS_MAX: usize = 1024;
/// Bytes of a receipt.
pub const RECEIPT_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a genesis file.
pub const GENESIS_BYTES_MAX: usize = 1024 * 1024;

/// How far ahead `valid_until` may lie.
pub const VALIDITY_MAX: DurationMs = DurationMs::minutes(10);
/// How long past `valid_until`, in block time, an executed id is remembered.
pub const REMEMBERED: DurationMs = DurationMs::minutes(10);
/// How far ahead of a voter's clock a block's time may be; until then the vote waits.
pub const BLOCK_SKEW: DurationMs = DurationMs::seconds(2);
/// How many heights execution may lag behind before blocks must be empty.
pub const EXECUTION_LAG_MAX: u64 = 8;
/// The shortest delay between `unlock_request` and the owner's spending of a locked reserve: no
/// shorter than the longest life of an issuer's authorization.
pub const UNLOCK_DELAY_MIN: DurationMs = DurationMs::minutes(60);
/// The longest such delay.
pub const UNLOCK_DELAY_MAX: DurationMs = DurationMs::minutes(60 * 24 * 30);
/// The longest life of an issuer's authorization.
pub const AUTHORIZATION_LIFE_MAX: DurationMs = DurationMs::minutes(30);

/// A rotating payment code lives at most this long.
pub const PAYMENT_CODE_LIFE_MAX: DurationMs = DurationMs::seconds(60);
/// How far before `iat` or `nbf` a payment code is accepted.
pub const PAYMENT_CODE_EARLY: DurationMs = DurationMs::seconds(5);
/// How far past `exp` a payment code is accepted.
pub const PAYMENT_CODE_LATE: DurationMs = DurationMs(0);
/// Skew allowed for X.509 certificates and DPoP proofs.
pub const CERTIFICATE_SKEW: DurationMs = DurationMs::seconds(60);
/// Characters of a payment code's text.
pub const PAYMENT_CODE_CHARS_MAX: usize = 12_000;
/// Bytes that a payment code may inflate to.
pub const PAYMENT_CODE_INFLATED_BYTES_MAX: usize = 64 * 1024;
/// Slack added to the life of an entry of the replay window, beside the skew.
pub const REPLAY_SLACK: DurationMs = DurationMs::seconds(1);

/// How long a device code lives.
pub const DEVICE_CODE_LIFE: DurationMs = DurationMs::minutes(10);
/// Characters of a device code (base 20 of RFC 8628 section 6.1).
pub const DEVICE_CODE_CHARS: usize = 9;
/// Characters of an authorization code before its check character.
pub const AUTHORIZATION_CODE_CHARS: usize = 12;
/// Authorization codes are made for buckets of this length.
pub const AUTHORIZATION_CODE_BUCKET: DurationMs = DurationMs::minutes(5);
/// Wrong authorization codes for one request before it is closed.
pub const GUESSES_PER_REQUEST_MAX: u32 = 5;
/// Wrong authorization codes a day of one device.
pub const GUESSES_PER_DAY_MAX: u32 = 10;
/// How long a session of a logged-in holder lives.
pub const SESSION_LIFE: DurationMs = DurationMs::minutes(8 * 60);
/// How long the answer to an `Idempotency-Key` is kept.
pub const IDEMPOTENCY_LIFE: DurationMs = DurationMs::minutes(24 * 60);
/// Requests a second for one API key.
pub const REQUESTS_PER_SECOND_MAX: u32 = 100;
/// Requests a second from one address, unless a role's configuration says otherwise.
pub const ADDRESS_REQUESTS_PER_SECOND_MAX: u32 = 2000;
/// Logins a minute for one name, from all addresses: more than an address may try, so that one
/// address cannot lock a holder out.
pub const LOGINS_PER_MINUTE_MAX: u32 = 60;
/// Requests for credentials a minute from one address.
pub const PROVISIONING_STARTS_PER_MINUTE_MAX: u32 = 60;
/// Guesses (logins, codes) a minute for one address.
pub const GUESSES_PER_MINUTE_MAX: u32 = 10;

const _: () = {
    assert!(AUTHORIZATION_LIFE_MAX.0 < UNLOCK_DELAY_MIN.0);
    assert!(UNLOCK_DELAY_MIN.0 < UNLOCK_DELAY_MAX.0);
    assert!(PAYMENT_CODE_LIFE_MAX.0 < AUTHORIZATION_LIFE_MAX.0);
    assert!(GUESSES_PER_MINUTE_MAX < LOGINS_PER_MINUTE_MAX);
    assert!(AUTHORIZATION_CODE_BUCKET.0 <= DEVICE_CODE_LIFE.0);
    // 34 bytes a reserve id and 80 a line, with room for the rest of the body.
    assert!(RESERVES_IN_MAX * 34 + LINES_MAX * 80 + RESERVES_OUT_MAX * 9 + 1024 < BODY_BYTES_MAX);
    assert!(TRANSACTION_BYTES_MAX < BLOCK_TRANSACTION_BYTES_MAX);
    assert!(OWNER_KEYS_MAX * (36 + 68) + 64 < WITNESS_BYTES_MAX);
};

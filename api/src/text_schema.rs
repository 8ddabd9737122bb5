//! Schemas of the texts that stand for values of `kernel`: ids, keys, amounts, times.

use std::borrow::Cow;

use serde_json::Value;
use tallystick_kernel::{
    AccountId, Amount, BlockId, CurrencyCode, HolderId, NetworkId, Reference, ReserveId,
    TransactionId,
};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A schema of a text: its name, what it is, its pattern, an example.
macro_rules! text {
    ($name:ident, $says:literal, $pattern:literal, $example:expr) => {
        #[doc = $says]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let example: String = $example;
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some($says))
                    .pattern(Some($pattern))
                    .examples([Value::String(example)])
                    .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                let name = stringify!($name);
                Cow::Borrowed(name.strip_suffix("Text").unwrap_or(name))
            }
        }
    };
}

text!(AccountIdText, "An account (bech32m).", "^tlya1[02-9ac-hj-np-z]{58}$", account().to_string());
text!(
    TransactionIdText,
    "A transaction (bech32m).",
    "^tlyt1[02-9ac-hj-np-z]{58}$",
    transaction().to_string()
);
text!(
    ReserveIdText,
    "A reserve (bech32m).",
    "^tlyr1[02-9ac-hj-np-z]{58}$",
    ReserveId([3; 32]).to_string()
);
text!(
    BlockIdText,
    "A block: the hash of its header (bech32m).",
    "^tlyb1[02-9ac-hj-np-z]{58}$",
    BlockId([6; 32]).to_string()
);
text!(
    NetworkIdText,
    "A network: the hash of its genesis (bech32m).",
    "^tlyn1[02-9ac-hj-np-z]{58}$",
    NetworkId([4; 32]).to_string()
);
text!(
    HolderIdText,
    "A holder at the issuer (bech32m).",
    "^tlyh1[02-9ac-hj-np-z]{58}$",
    holder().to_string()
);
text!(
    ReferenceText,
    "By what a payee finds a payment (bech32m).",
    "^tlyo1[02-9ac-hj-np-z]{58}$",
    Reference([6; 32]).to_string()
);
text!(PublicKeyText, "A public key (bech32m).", "^tlyk1[02-9ac-hj-np-z]{8,300}$", key());
text!(CurrencyCodeText, "A currency's code.", "^[A-Z0-9]{3,8}$", "EUR".to_owned());
text!(
    MinorUnitsText,
    "An amount in minor units, decimal, at most 9223372036854775807.",
    "^(0|[1-9][0-9]{0,18})$",
    "1250".to_owned()
);
text!(NumberText, "A number, decimal.", "^(0|[1-9][0-9]{0,18})$", "1203".to_owned());
text!(DigestText, "32 bytes, hexadecimal.", "^[0-9a-f]{64}$", "5a".repeat(32));
text!(HexText, "Bytes, hexadecimal.", "^([0-9a-f]{2}){1,32}$", "5a".repeat(16));
text!(
    BytesText,
    "Bytes as base64url without padding (RFC 4648 section 5).",
    "^[A-Za-z0-9_-]*$",
    "dGFsbHk".to_owned()
);

/// The account of the examples.
pub const fn account() -> AccountId {
    AccountId([1; 32])
}

/// The transaction of the examples.
pub const fn transaction() -> TransactionId {
    TransactionId([2; 32])
}

/// The holder of the examples.
pub const fn holder() -> HolderId {
    HolderId([5; 32])
}

/// The currency of the examples.
pub fn currency() -> CurrencyCode {
    match "EUR".parse() {
        Ok(code) => code,
        Err(_) => unreachable!("three capital letters are a currency code"),
    }
}

/// The public key of the examples.
pub fn key() -> String {
    "tlyk1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpq".to_owned()
}

/// An amount of the examples.
pub fn amount(minor_units: u64) -> Amount {
    Amount::new(minor_units).unwrap_or(Amount::MAX)
}

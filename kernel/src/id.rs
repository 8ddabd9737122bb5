//! Ids: a newtype for each kind of thing, 32 bytes inside, bech32m with the kind's prefix outside.

use core::fmt;
use core::str::FromStr;

use bech32::{Bech32m, Hrp};

use crate::codec::{Codec, Reader, Writer};
use crate::reason::Reason;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The human-readable prefix of this kind.
            pub const PREFIX: &'static str = $prefix;
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                let encoded = bech32::encode::<Bech32m>(Hrp::parse_unchecked($prefix), &self.0);
                formatter.write_str(&encoded.map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl FromStr for $name {
            type Err = Reason;

            /// Reads the bech32m form; [`Reason::IdMalformed`] for another kind or a bad checksum.
            fn from_str(text: &str) -> Result<Self, Reason> {
                parse($prefix, text).map($name)
            }
        }

        impl Codec for $name {
            fn encode(&self, out: &mut Writer) {
                out.bytes(&self.0);
            }

            fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
                input.byte_array().map($name)
            }
        }
    )*};
}

ids! {
    /// An account on the ledger. The all-zero id names no account: it stands in the body of an
    /// `account_open`, whose account does not exist yet.
    AccountId = "tlya";
    /// A transaction: the labelled hash of its body.
    TransactionId = "tlyt";
    /// A reserve.
    ReserveId = "tlyr";
    /// A block: the labelled hash of its header.
    BlockId = "tlyb";
    /// A network: the labelled hash of its genesis file.
    NetworkId = "tlyn";
    /// A holder at an issuer; random, says nothing about the person.
    HolderId = "tlyh";
    /// Opaque bytes by which a payee finds the order that a payment is for (a salted hash of the
    /// invoice).
    Reference = "tlyo";
}

impl AccountId {
    /// The id that names no account.
    pub const NONE: AccountId = AccountId([0; 32]);
}

fn parse(prefix: &str, text: &str) -> Result<[u8; 32], Reason> {
    let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32m>(text)
        .map_err(|_| Reason::IdMalformed)?;
    if checked.hrp() != Hrp::parse_unchecked(prefix) {
        return Err(Reason::IdMalformed);
    }
    let bytes: Vec<u8> = checked.byte_iter().collect();
    bytes.try_into().map_err(|_| Reason::IdMalformed)
}

/// Sixteen random bytes that make two otherwise equal bodies different transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Salt(pub [u8; 16]);

impl Codec for Salt {
    fn encode(&self, out: &mut Writer) {
        out.bytes(&self.0);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.byte_array().map(Salt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_only_as_its_own_kind() {
        let id = AccountId([7; 32]);
        let text = id.to_string();
        assert!(text.starts_with("tlya1"), "{text}");
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.parse::<ReserveId>(), Err(Reason::IdMalformed));
        let mut altered = text.into_bytes();
        altered[10] = if altered[10] == b'q' { b'p' } else { b'q' };
        let altered = String::from_utf8(altered).unwrap();
        assert_eq!(altered.parse::<AccountId>(), Err(Reason::IdMalformed));
    }
}

//! Who controls an account: `m` of `n` public keys.

use tallystick_crypto::PublicKey;
use tallystick_kernel::limits::OWNER_KEYS_MAX;
use tallystick_kernel::{Codec, Reader, Reason, Writer};

/// A threshold of keys. In canonical form the keys are strictly rising and the threshold is
/// between one and their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owners {
    /// How many of the keys must sign.
    pub threshold: u16,
    /// The keys, strictly rising, 1 to 16.
    pub keys: Vec<PublicKey>,
}

impl Owners {
    /// One key that controls alone.
    pub fn single(key: PublicKey) -> Owners {
        Owners { threshold: 1, keys: vec![key] }
    }

    /// Whether the set is canonical and every key is fit for use.
    ///
    /// Returns [`Reason::OwnersMalformed`], or what [`PublicKey::check`] says of a key.
    pub fn check(&self) -> Result<(), Reason> {
        let threshold = usize::from(self.threshold);
        let rising = self.keys.windows(2).all(|pair| pair[0] < pair[1]);
        if threshold == 0 || threshold > self.keys.len() || !rising {
            return Err(Reason::OwnersMalformed);
        }
        self.keys.iter().try_for_each(PublicKey::check)
    }

    /// Whether exactly these signers, each of whom has signed, control the account.
    ///
    /// Returns [`Reason::NotOwner`] for a foreign key, [`Reason::SignatureMissing`] below and
    /// [`Reason::SignatureExtra`] above the threshold.
    pub fn allow<'k>(
        &self,
        signers: impl ExactSizeIterator<Item = &'k PublicKey>,
    ) -> Result<(), Reason> {
        let count = signers.len();
        for signer in signers {
            if self.keys.binary_search(signer).is_err() {
                return Err(Reason::NotOwner);
            }
        }
        match count.cmp(&usize::from(self.threshold)) {
            core::cmp::Ordering::Less => Err(Reason::SignatureMissing),
            core::cmp::Ordering::Equal => Ok(()),
            core::cmp::Ordering::Greater => Err(Reason::SignatureExtra),
        }
    }
}

impl Codec for Owners {
    fn encode(&self, out: &mut Writer) {
        out.array(2).u64(u64::from(self.threshold)).list(&self.keys);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(2)?;
        Ok(Owners { threshold: input.u16()?, keys: input.list(OWNER_KEYS_MAX)? })
    }
}

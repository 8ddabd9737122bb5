//! The genesis file: the one thing that a verifier must be given, and from which all trust follows.
//!
//! Encoding: `[version, name, time_ms, validators, accounts, currencies, parameters]`. The
//! network's id is the labelled hash of these bytes.

use tallystick_crypto::PublicKey;
use tallystick_kernel::limits::{
    CURRENCY_EXPONENT_MAX, GENESIS_ACCOUNTS_MAX, GENESIS_BYTES_MAX, GENESIS_CURRENCIES_MAX,
    VALIDATORS_MAX,
};
use tallystick_kernel::{
    AccountId, Codec, CurrencyCode, Digest, DurationMs, LabelledHash, NetworkId, Reader, Reason,
    TimeMs, Writer,
};

use crate::owners::Owners;

/// The version of the file's encoding.
pub const GENESIS_VERSION: u64 = 1;
/// Bytes of a network's name.
const NAME_BYTES_MAX: usize = 64;

/// The validators of an epoch: Ed25519 keys, strictly rising; a validator is its place in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidatorSet(Vec<PublicKey>);

/// A currency as it begins: no supply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenesisCurrency {
    /// Its code.
    pub code: CurrencyCode,
    /// How many decimals a major unit has, 0 to 8.
    pub exponent: u8,
    /// The genesis account, by its place in the list, that mints and burns.
    pub authority: u64,
}

/// What every node must agree on beyond the rules themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Entries of one block at most, 1 to 4096.
    pub block_entries_max: u64,
    /// An idle network makes an empty block this often.
    pub idle_interval: DurationMs,
    /// A checkpoint of the state is taken every so many heights, at least 1.
    pub checkpoint_interval: u64,
}

/// How a network begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// A name for people, at most 64 bytes.
    pub name: String,
    /// The time of block zero.
    pub time: TimeMs,
    /// The first validators.
    pub validators: ValidatorSet,
    /// The first accounts.
    pub accounts: Vec<Owners>,
    /// The currencies.
    pub currencies: Vec<GenesisCurrency>,
    /// The first parameters.
    pub parameters: Parameters,
}

impl ValidatorSet {
    /// Sorts the keys into a set; [`Reason::GenesisMalformed`] for none, too many, the same key
    /// twice, or a key that is not Ed25519.
    pub fn new(mut keys: Vec<PublicKey>) -> Result<ValidatorSet, Reason> {
        keys.sort_unstable();
        let distinct = keys.windows(2).all(|pair| pair[0] < pair[1]);
        let ed25519 = keys.iter().all(|key| matches!(key, PublicKey::Ed25519(_)));
        if keys.is_empty() || keys.len() > VALIDATORS_MAX || !distinct || !ed25519 {
            return Err(Reason::GenesisMalformed);
        }
        Ok(ValidatorSet(keys))
    }

    /// The keys in order.
    pub fn keys(&self) -> &[PublicKey] {
        &self.0
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How many may fail: `floor((n - 1) / 3)`.
    pub fn faults_max(&self) -> usize {
        (self.0.len() - 1) / 3
    }

    /// How many must agree: `n - f`.
    pub fn quorum(&self) -> usize {
        self.0.len() - self.faults_max()
    }

    /// The hash that headers carry.
    pub fn hash(&self) -> Digest {
        LabelledHash::new("tallystick/validator-set/1").part(&self.to_bytes()).finish()
    }
}

impl Parameters {
    /// The hash that headers carry.
    pub fn hash(&self) -> Digest {
        LabelledHash::new("tallystick/parameters/1").part(&self.to_bytes()).finish()
    }
}

impl Genesis {
    /// Reads a genesis file: canonical, and usable as [`Genesis::check`] says.
    pub fn read(bytes: &[u8]) -> Result<Genesis, Reason> {
        let genesis = Genesis::from_bytes(bytes, GENESIS_BYTES_MAX)?;
        genesis.check()?;
        Ok(genesis)
    }

    /// The network's id.
    pub fn network(&self) -> NetworkId {
        let label = LabelledHash::new("tallystick/network/1");
        NetworkId(label.part(&self.to_bytes()).finish())
    }

    /// The id of the genesis account at `index`.
    pub fn account_id(index: u64, owners: &Owners) -> AccountId {
        let label = LabelledHash::new("tallystick/genesis-account/1");
        AccountId(label.number(index).part(&owners.to_bytes()).finish())
    }

    /// All accounts with their ids, in the order of the file.
    pub fn accounts(&self) -> impl Iterator<Item = (AccountId, &Owners)> {
        self.accounts
            .iter()
            .enumerate()
            .map(|(index, owners)| (Genesis::account_id(index as u64, owners), owners))
    }

    /// The account that has authority over `currency`, if there is such a currency.
    pub fn authority(&self, currency: &CurrencyCode) -> Option<AccountId> {
        let found = self.currencies.iter().find(|entry| entry.code == *currency)?;
        let index = usize::try_from(found.authority).ok()?;
        Some(Genesis::account_id(found.authority, self.accounts.get(index)?))
    }

    /// Whether every part is usable; [`Reason::GenesisMalformed`] or the reasons of
    /// [`Owners::check`].
    pub fn check(&self) -> Result<(), Reason> {
        self.accounts.iter().try_for_each(Owners::check)?;
        let codes_rise = self.currencies.windows(2).all(|pair| pair[0].code < pair[1].code);
        let usable = self.currencies.iter().all(|currency| {
            currency.exponent <= CURRENCY_EXPONENT_MAX
                && currency.authority < self.accounts.len() as u64
        });
        let parameters = &self.parameters;
        let entries_max = tallystick_kernel::limits::BLOCK_ENTRIES_MAX as u64;
        let in_range = (1..=entries_max).contains(&parameters.block_entries_max)
            && parameters.checkpoint_interval > 0
            && parameters.idle_interval >= DurationMs(100);
        if codes_rise && usable && in_range { Ok(()) } else { Err(Reason::GenesisMalformed) }
    }
}

impl Codec for ValidatorSet {
    fn encode(&self, out: &mut Writer) {
        out.list(&self.0);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        ValidatorSet::new(input.list(VALIDATORS_MAX)?)
    }
}

impl Codec for GenesisCurrency {
    fn encode(&self, out: &mut Writer) {
        out.array(3).value(&self.code).u64(u64::from(self.exponent)).u64(self.authority);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(3)?;
        Ok(GenesisCurrency {
            code: CurrencyCode::decode(input)?,
            exponent: input.u8()?,
            authority: input.u64()?,
        })
    }
}

impl Codec for Parameters {
    fn encode(&self, out: &mut Writer) {
        out.array(3).u64(self.block_entries_max).value(&self.idle_interval);
        out.u64(self.checkpoint_interval);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(3)?;
        Ok(Parameters {
            block_entries_max: input.u64()?,
            idle_interval: DurationMs::decode(input)?,
            checkpoint_interval: input.u64()?,
        })
    }
}

impl Codec for Genesis {
    fn encode(&self, out: &mut Writer) {
        out.array(7).u64(GENESIS_VERSION).text(&self.name).value(&self.time);
        out.value(&self.validators).list(&self.accounts).list(&self.currencies);
        out.value(&self.parameters);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(7)?;
        if input.u64()? != GENESIS_VERSION {
            return Err(Reason::VersionUnknown);
        }
        Ok(Genesis {
            name: input.text(NAME_BYTES_MAX)?.to_owned(),
            time: TimeMs::decode(input)?,
            validators: ValidatorSet::decode(input)?,
            accounts: input.list(GENESIS_ACCOUNTS_MAX)?,
            currencies: input.list(GENESIS_CURRENCIES_MAX)?,
            parameters: Parameters::decode(input)?,
        })
    }
}

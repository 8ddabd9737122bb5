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

use crate::header::RULES_VERSION_FIRST;
use crate::owners::Owners;

/// The version of the file's encoding.
pub const GENESIS_VERSION: u64 = 1;
/// Bytes of a network's name.
const NAME_BYTES_MAX: usize = 64;
/// Heights of an epoch at least.
const EPOCH_BLOCKS_MIN: u64 = 8;
/// Heights of an epoch at most, and of the one epoch of a network that nobody governs.
const EPOCH_BLOCKS_MAX: u64 = 1 << 40;

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
    /// Who may change the validators and the rules; none when nobody may, ever.
    pub governance: Option<Governance>,
}

/// Who may change the validators and the rules, and when a change takes force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Governance {
    /// Heights of an epoch; a validator set is that of whole epochs. 8 to 2^40.
    pub epoch_blocks: u64,
    /// The genesis account, by its place in the list, whose owners are the operators.
    pub operators: u64,
    /// The version of the rules that the network begins with, see
    /// [`crate::header::RULES_VERSION_MAX`].
    pub rules_version: u64,
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
    /// Sorts the keys into a set; [`Reason::ValidatorsMalformed`] for none, too many, the same key
    /// twice, or a key that is not Ed25519.
    pub fn new(mut keys: Vec<PublicKey>) -> Result<ValidatorSet, Reason> {
        keys.sort_unstable();
        let distinct = keys.windows(2).all(|pair| pair[0] < pair[1]);
        let ed25519 = keys.iter().all(|key| matches!(key, PublicKey::Ed25519(_)));
        if keys.is_empty() || keys.len() > VALIDATORS_MAX || !distinct || !ed25519 {
            return Err(Reason::ValidatorsMalformed);
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

    /// Heights of an epoch.
    pub fn epoch_blocks(&self) -> u64 {
        self.governance.map_or(EPOCH_BLOCKS_MAX, |governance| governance.epoch_blocks)
    }

    /// The epoch of a height; epoch zero begins with block zero.
    pub fn epoch_of(&self, height: u64) -> u64 {
        height / self.epoch_blocks().max(1)
    }

    /// The first height of an epoch.
    pub fn first_of(&self, epoch: u64) -> u64 {
        epoch.saturating_mul(self.epoch_blocks())
    }

    /// The epoch from which on a change is in force that was executed at this height: the second
    /// one after its own.
    pub fn effective_epoch(&self, height: u64) -> u64 {
        self.epoch_of(height).saturating_add(2)
    }

    /// The version of the rules that the network begins with.
    pub fn rules_version(&self) -> u64 {
        self.governance.map_or(RULES_VERSION_FIRST, |governance| governance.rules_version)
    }

    fn is_usable(&self, accounts: usize) -> bool {
        let entries_max = tallystick_kernel::limits::BLOCK_ENTRIES_MAX as u64;
        let governed = self.governance.is_none_or(|governance| {
            (EPOCH_BLOCKS_MIN..=EPOCH_BLOCKS_MAX).contains(&governance.epoch_blocks)
                && governance.operators < accounts as u64
                && governance.rules_version >= RULES_VERSION_FIRST
        });
        (1..=entries_max).contains(&self.block_entries_max)
            && self.checkpoint_interval > 0
            && self.idle_interval >= DurationMs(100)
            && governed
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

    /// The account whose owners may change the validators and the rules, if there is one.
    pub fn operators(&self) -> Option<AccountId> {
        let place = self.parameters.governance?.operators;
        let owners = self.accounts.get(usize::try_from(place).ok()?)?;
        Some(Genesis::account_id(place, owners))
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
        let in_range = self.parameters.is_usable(self.accounts.len());
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
        out.array(3 + usize::from(self.governance.is_some()));
        out.u64(self.block_entries_max).value(&self.idle_interval).u64(self.checkpoint_interval);
        if let Some(governance) = &self.governance {
            out.value(governance);
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        let fields = input.array(usize::MAX)?;
        if !(3..=4).contains(&fields) {
            return Err(Reason::Malformed);
        }
        Ok(Parameters {
            block_entries_max: input.u64()?,
            idle_interval: DurationMs::decode(input)?,
            checkpoint_interval: input.u64()?,
            governance: if fields == 4 { Some(Governance::decode(input)?) } else { None },
        })
    }
}

impl Codec for Governance {
    fn encode(&self, out: &mut Writer) {
        out.array(3).u64(self.epoch_blocks).u64(self.operators).u64(self.rules_version);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(3)?;
        Ok(Governance {
            epoch_blocks: input.u64()?,
            operators: input.u64()?,
            rules_version: input.u64()?,
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
            validators: ValidatorSet::decode(input).map_err(of_genesis)?,
            accounts: input.list(GENESIS_ACCOUNTS_MAX)?,
            currencies: input.list(GENESIS_CURRENCIES_MAX)?,
            parameters: Parameters::decode(input)?,
        })
    }
}

/// A validator set of a genesis file that is not usable makes the file so.
fn of_genesis(reason: Reason) -> Reason {
    if reason == Reason::ValidatorsMalformed { Reason::GenesisMalformed } else { reason }
}

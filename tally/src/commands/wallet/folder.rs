//! A wallet's data folder: keys, session, state, and what it knows of its network.

use std::path::Path;
use std::sync::Arc;

use tallystick_api::dpop::{self, Target};
use tallystick_api::issuer::IssuerClient;
use tallystick_api::node::{Reception, TransactionState};
use tallystick_api::{Client, ProofMaker};
use tallystick_crypto::key_store::{KeyAlgorithm, KeyPurpose, StoredSigner};
use tallystick_crypto::standard_signature::StandardKey;
use tallystick_crypto::{KeyStore as _, PublicKey, SoftwareKeyStore};
use tallystick_kernel::{Codec as _, DurationMs, Reason, hex};
use tallystick_proofs::transaction::Transaction;
use tallystick_wallet::WalletState;
use tallystick_wallet::state::STATE_BYTES_MAX;

use crate::commands::network_file::NetworkFile;
use crate::data_folder::{DataFolder, read_bounded, write_atomically};
use crate::failure::Failure;
use crate::key_file::KeyFile;
use crate::machine_key::MachineKey;
use crate::output::Output;
use crate::secret_file::SecretFile;
use crate::source;
use crate::up::MACHINE_KEY_FILE;
use crate::up::published::NETWORK_FILE;

/// The key of the ledger account.
pub const ACCOUNT_KEY: &str = "account";
/// The key of the device, which signs payment codes and proofs of possession.
pub const DEVICE_KEY: &str = "device";
/// The key that credentials are sealed to.
pub const OPENING_KEY: &str = "opening";
/// The session's token among the secrets.
pub const SESSION: &str = "session";
/// The genesis file in the wallet's folder.
pub const GENESIS_FILE: &str = "genesis.tally";
const STATE_FILE: &str = "wallet.state";
/// How long a transaction is waited for.
pub const FINAL_WITHIN: DurationMs = DurationMs::seconds(30);

/// An opened wallet; no other process has it meanwhile.
pub struct Wallet {
    /// The folder.
    pub folder: DataFolder,
    /// The network.
    pub network: NetworkFile,
    /// The keys.
    pub keys: Arc<SoftwareKeyStore>,
    /// The session's token.
    pub secrets: SecretFile,
    /// What the wallet remembers.
    pub state: WalletState,
}

impl Wallet {
    /// Opens a wallet, making keys where there are none.
    ///
    /// Fails with [`Reason::FileUnreadable`] and the way out when `init` was never run here.
    pub fn open(path: &Path) -> Result<Wallet, Failure> {
        if !path.join(NETWORK_FILE).exists() {
            return Err(Failure::new(Reason::FileUnreadable)
                .cause(format!("there is no wallet in {}", path.display()))
                .next_step("make one with tally wallet init --data DIR --network FILE"));
        }
        let folder = DataFolder::open(path, "wallet")?;
        let machine_key = MachineKey::read_or_make(&folder.file(MACHINE_KEY_FILE))?;
        let mut keys = KeyFile::open(path, &machine_key)?;
        keys.ensure(ACCOUNT_KEY, KeyPurpose::Account, KeyAlgorithm::Ed25519)?;
        keys.ensure(DEVICE_KEY, KeyPurpose::Device, KeyAlgorithm::P256)?;
        keys.ensure(OPENING_KEY, KeyPurpose::Opening, KeyAlgorithm::X25519)?;
        let state = folder.file(STATE_FILE);
        let state = match state.exists() {
            true => {
                WalletState::from_bytes(&read_bounded(&state, STATE_BYTES_MAX)?, STATE_BYTES_MAX)
                    .map_err(|_| {
                        Failure::new(Reason::StorageCorrupt).cause(state.display().to_string())
                    })?
            }
            false => WalletState::default(),
        };
        Ok(Wallet {
            network: NetworkFile::read(&folder.file(NETWORK_FILE))?,
            keys: Arc::new(keys.into_store()),
            secrets: SecretFile::open(path, &machine_key)?,
            folder,
            state,
        })
    }

    /// Stores the state durably.
    pub fn save(&self) -> Result<(), Failure> {
        write_atomically(&self.folder.file(STATE_FILE), &self.state.to_bytes(), 0o600)
    }

    /// A signer by the account's key.
    pub fn account_signer(&self) -> Result<StoredSigner<'_>, Reason> {
        StoredSigner::new(self.keys.as_ref(), ACCOUNT_KEY, KeyPurpose::Account)
    }

    /// A signer by the device's key.
    pub fn device_signer(&self) -> Result<StoredSigner<'_>, Reason> {
        StoredSigner::new(self.keys.as_ref(), DEVICE_KEY, KeyPurpose::Device)
    }

    /// The device's key.
    pub fn device_key(&self) -> Result<PublicKey, Reason> {
        self.keys.public_key(DEVICE_KEY)
    }

    /// Makes proofs of possession with the device's key.
    pub fn proof_maker(&self) -> Result<Arc<dyn ProofMaker>, Reason> {
        let point = StandardKey::from(&self.device_key()?).to_uncompressed()?;
        let point = point.try_into().map_err(|_| Reason::KeyMalformed)?;
        Ok(Arc::new(DeviceProofs { keys: Arc::clone(&self.keys), point }))
    }

    /// The issuer, with the holder's session. Fails with the way out when there is none.
    pub fn issuer_session(&self) -> Result<IssuerClient, Failure> {
        let IssuerClient(client) = self.network.issuer()?;
        let token = self.secrets.get(SESSION).and_then(|token| core::str::from_utf8(token).ok());
        let token = token.ok_or_else(|| {
            Failure::new(Reason::Unauthenticated).next_step("log in with tally wallet init")
        })?;
        Ok(IssuerClient(client.with_token(token)))
    }

    /// The same with proofs of possession.
    pub fn issuer_device(&self) -> Result<IssuerClient, Failure> {
        let IssuerClient(client) = self.issuer_session()?;
        Ok(IssuerClient(client.with_proof_maker(self.proof_maker()?)))
    }

    /// Submits a transaction of this wallet and waits until it is final; fails with its reason when
    /// it fails, and with [`Reason::Timeout`] when it is not final in time.
    pub async fn settle(&self, transaction: &Transaction, output: Output) -> Result<(), Failure> {
        let nodes = self.network.nodes()?;
        let id = transaction.id();
        let answer = nodes.submit(vec![transaction.to_bytes()]).await?;
        let submission = answer.submissions.into_iter().next().ok_or(Reason::AnswerMalformed)?;
        if submission.outcome == Reception::Refused {
            let problem = submission.problem;
            let reason = problem.map_or(Reason::AnswerMalformed, |problem| problem.reason());
            return Err(Failure::new(reason).cause("a node refused the transaction"));
        }
        output.progress(&format!("{id} is on its way"));
        let status = nodes.wait_final(&id, FINAL_WITHIN).await?;
        match (status.state, status.result) {
            (TransactionState::Final, Some(result)) if result.success => Ok(()),
            (TransactionState::Final, Some(result)) => {
                let code = result.code.as_deref().and_then(Reason::from_code);
                let reason = code.unwrap_or(Reason::AnswerMalformed);
                Err(Failure::new(reason).cause(format!("transaction {id} failed")))
            }
            (TransactionState::Expired, _) => Err(Failure::new(Reason::Expired)
                .cause(format!("transaction {id} was not included in time"))),
            _ => Err(Failure::new(Reason::Timeout)
                .cause(format!("transaction {id} is not final yet"))
                .next_step("look again with tally wallet balance")),
        }
    }
}

struct DeviceProofs {
    keys: Arc<SoftwareKeyStore>,
    point: dpop::PublicPoint,
}

impl ProofMaker for DeviceProofs {
    fn proof(&self, method: &str, url: &str, access_token: Option<&str>) -> Result<String, Reason> {
        let target = Target { method, url, access_token };
        let jti = hex::encode(&source::random::<16>()?);
        dpop::make(&self.point, target, &jti, source::now(), |input| {
            Ok(self.keys.sign(DEVICE_KEY, KeyPurpose::Device, input)?.0)
        })
    }
}

/// A client of a party that asks for proofs of possession only.
pub fn proving(client: Client, wallet: &Wallet) -> Result<Client, Failure> {
    Ok(client.with_proof_maker(wallet.proof_maker()?))
}

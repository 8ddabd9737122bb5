//! What a wallet remembers. Keys and tokens are not here but in its key store.

use tallystick_kernel::limits::TRANSACTION_BYTES_MAX;
use tallystick_kernel::{AccountId, Codec, HolderId, Reader, Reason, TransactionId, Writer};
use tallystick_proofs::transaction::Transaction;
use tallystick_proofs::x509_certificate::CERTIFICATE_BYTES_MAX;

/// Bytes of a stored state at most.
pub const STATE_BYTES_MAX: usize = 1024 * 1024;
/// Certificates of a device's chain at most.
const CHAIN_MAX: usize = 8;
/// Transactions that are remembered at most; the oldest go first.
const HISTORY_MAX: usize = 1000;

/// The state of one wallet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalletState {
    /// The holder's name at the issuer.
    pub holder_name: String,
    /// The holder's id at the issuer, once logged in.
    pub holder: Option<HolderId>,
    /// The transaction that opens the account, from before it is sent.
    pub opening: Option<Transaction>,
    /// The account, once it is final.
    pub account: Option<AccountId>,
    /// The token that stands for it at the issuer, once it is linked.
    pub token: Option<String>,
    /// A request that waits for its authorization code.
    pub provisioning: Option<Provisioning>,
    /// The device's certificates, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// The counter of the last code that was shown.
    pub counter: u64,
    /// Transactions of this wallet, oldest first.
    pub history: Vec<TransactionId>,
}

/// A request for a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provisioning {
    /// Its id at the provisioner, as the provisioner writes it.
    pub id: String,
    /// What the holder carries to the issuer.
    pub request: String,
    /// The credential, once it was released and opened; it is shown to the issuer once.
    pub credential: Option<Vec<u8>>,
}

impl WalletState {
    /// Notes a transaction of this wallet.
    pub fn note(&mut self, id: TransactionId) {
        if !self.history.contains(&id) {
            self.history.push(id);
        }
        let surplus = self.history.len().saturating_sub(HISTORY_MAX);
        self.history.drain(..surplus);
    }

    /// The account; [`Reason::AccountNotLinked`] before there is one.
    pub fn require_account(&self) -> Result<AccountId, Reason> {
        self.account.ok_or(Reason::AccountNotLinked)
    }
}

impl Codec for WalletState {
    fn encode(&self, out: &mut Writer) {
        out.array(10).u64(VERSION).text(&self.holder_name).option(self.holder.as_ref());
        out.option(self.opening.as_ref()).option(self.account.as_ref());
        out.text(self.token.as_deref().unwrap_or_default());
        out.option(self.provisioning.as_ref()).array(self.chain.len());
        for certificate in &self.chain {
            out.bytes(certificate);
        }
        out.u64(self.counter).list(&self.history);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(10)?;
        if input.u64()? != VERSION {
            return Err(Reason::VersionUnknown);
        }
        let holder_name = input.text(256)?.to_owned();
        let (holder, opening, account) = (input.option()?, input.option()?, input.option()?);
        let token = Some(input.text(64)?.to_owned()).filter(|token| !token.is_empty());
        let provisioning = input.option()?;
        let mut chain = Vec::new();
        for _ in 0..input.array(CHAIN_MAX)? {
            chain.push(input.bytes(CERTIFICATE_BYTES_MAX)?.to_vec());
        }
        Ok(WalletState {
            holder_name,
            holder,
            opening,
            account,
            token,
            provisioning,
            chain,
            counter: input.u64()?,
            history: input.list(HISTORY_MAX)?,
        })
    }
}

impl Codec for Provisioning {
    fn encode(&self, out: &mut Writer) {
        out.array(3).text(&self.id).text(&self.request);
        out.bytes(self.credential.as_deref().unwrap_or_default());
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(3)?;
        let (id, request) = (input.text(64)?.to_owned(), input.text(4096)?.to_owned());
        let credential = input.bytes(TRANSACTION_BYTES_MAX)?.to_vec();
        let credential = Some(credential).filter(|bytes| !bytes.is_empty());
        Ok(Provisioning { id, request, credential })
    }
}

const VERSION: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_back_whole_and_empty() {
        let full = WalletState {
            holder_name: "demo".to_owned(),
            holder: Some(HolderId([1; 32])),
            opening: None,
            account: Some(AccountId([2; 32])),
            token: Some("token".to_owned()),
            provisioning: Some(Provisioning {
                id: "1".to_owned(),
                request: "TLYP1:".to_owned(),
                credential: Some(vec![1]),
            }),
            chain: vec![vec![1, 2], vec![3]],
            counter: 7,
            history: vec![TransactionId([3; 32])],
        };
        for state in [full, WalletState::default()] {
            assert_eq!(WalletState::from_bytes(&state.to_bytes(), STATE_BYTES_MAX), Ok(state));
        }
    }

    #[test]
    fn the_history_is_bounded_and_names_each_once() {
        let mut state = WalletState::default();
        let id = |number: u64| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            TransactionId(bytes)
        };
        (0..HISTORY_MAX as u64 + 5).for_each(|number| state.note(id(number)));
        state.note(id(6));
        assert_eq!((state.history.len(), state.history[0]), (HISTORY_MAX, id(5)));
    }
}

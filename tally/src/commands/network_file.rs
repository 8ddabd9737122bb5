//! The public description of a network, as wallets and operators read it.

use std::path::{Path, PathBuf};

use tallystick_api::Client;
use tallystick_api::NodeClient;
use tallystick_api::issuer::IssuerClient;
use tallystick_api::provisioner::ProvisionerClient;
use tallystick_kernel::{Amount, CurrencyCode, Reason};
use tallystick_proofs::genesis::Genesis;

use super::amount::{self, AmountShown};
use super::read_text;
use super::receipt::read_genesis;
use crate::failure::Failure;
use crate::up::published::NetworkDescription;

/// A network as it is described in a file, with its genesis file.
pub struct NetworkFile {
    /// The description.
    pub description: NetworkDescription,
    /// The genesis file's path.
    pub genesis_path: PathBuf,
    /// The genesis file.
    pub genesis: Genesis,
    /// The currency that is used.
    pub currency: CurrencyCode,
}

impl NetworkFile {
    /// Reads a description and the genesis file beside it.
    ///
    /// Fails with [`Reason::WrongNetwork`] when the two are of different networks.
    pub fn read(path: &Path) -> Result<NetworkFile, Failure> {
        let text = read_text(path, FILE_BYTES_MAX).map_err(|failure| {
            failure.next_step("name the network's description with --network FILE")
        })?;
        let description: NetworkDescription = toml::from_str(&text).map_err(|error| {
            Failure::new(Reason::FieldInvalid).cause(format!("{}: {error}", path.display()))
        })?;
        let genesis_path = crate::config::relative_to(path, Path::new(&description.genesis));
        let genesis = read_genesis(&genesis_path)?;
        if genesis.network().to_string() != description.network {
            return Err(Failure::new(Reason::WrongNetwork)
                .cause(format!("{} is of another network", genesis_path.display())));
        }
        let currency = CurrencyCode::new(&description.currency)?;
        Ok(NetworkFile { description, genesis_path, genesis, currency })
    }

    /// A client of the nodes.
    pub fn nodes(&self) -> Result<NodeClient, Failure> {
        Ok(NodeClient::new(&self.description.nodes)?)
    }

    /// A client of the issuer.
    pub fn issuer(&self) -> Result<IssuerClient, Failure> {
        Ok(IssuerClient(client(self.description.issuer.as_deref(), "issuer")?))
    }

    /// A client of the provisioner.
    pub fn provisioner(&self) -> Result<ProvisionerClient, Failure> {
        Ok(ProvisionerClient(client(self.description.provisioner.as_deref(), "provisioner")?))
    }

    /// An amount of the network's currency, such as `12.30`.
    pub fn amount(&self, text: &str) -> Result<Amount, Failure> {
        amount::typed(text, self.description.exponent)
    }

    /// An amount of the network's currency, for the output.
    pub fn shown(&self, amount: Amount) -> AmountShown {
        AmountShown::new(amount, self.currency, self.description.exponent)
    }
}

fn client(url: Option<&str>, party: &str) -> Result<Client, Failure> {
    let url = url.ok_or_else(|| {
        Failure::new(Reason::FieldInvalid)
            .cause(format!("the description names no {party}"))
            .next_step("name the description of a network that has one, with --network FILE")
    })?;
    Ok(Client::new(url)?)
}

const FILE_BYTES_MAX: usize = 64 * 1024;

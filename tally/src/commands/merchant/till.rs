//! What a till has: the merchant's data folder, and a code that it reads from an image or a text.

use std::path::{Path, PathBuf};

use clap::Args;
use tallystick_api::Client;
use tallystick_api::merchant::MerchantClient;
use tallystick_kernel::{Amount, CurrencyCode, Reason};
use tallystick_proofs::genesis::Genesis;

use crate::commands::amount::{self, AmountShown};
use crate::commands::read_text;
use crate::commands::receipt::read_genesis;
use crate::config;
use crate::data_folder::read_bounded;
use crate::failure::Failure;
use crate::qr;
use crate::roles::merchant::{MerchantConfig, TILL_KEY_FILE};

/// Where a code comes from.
#[derive(Debug, Args)]
pub struct TillArgs {
    /// The merchant's data folder; it is only read, the role may be running in it.
    #[arg(long, value_name = "DIR", default_value = ".tally/merchant")]
    pub data: PathBuf,
    /// An image (PNG or JPEG) that shows the code.
    #[arg(long, value_name = "FILE", required_unless_present = "code", conflicts_with = "code")]
    image: Option<PathBuf>,
    /// The code as text.
    #[arg(long, value_name = "TEXT")]
    code: Option<String>,
}

/// A till at work.
pub struct Till {
    /// The merchant's configuration.
    pub config: MerchantConfig,
    /// The network.
    pub genesis: Genesis,
    /// The currency of its prices.
    pub currency: CurrencyCode,
    exponent: u8,
}

impl TillArgs {
    /// The code's text.
    pub fn text(&self) -> Result<String, Failure> {
        if let Some(code) = &self.code {
            return Ok(code.clone());
        }
        let image = self.image.as_ref().ok_or(Reason::FieldInvalid)?;
        let bytes = read_bounded(image, qr::IMAGE_BYTES_MAX)?;
        qr::from_image(&bytes)
            .map_err(|reason| Failure::new(reason).cause(image.display().to_string()))
    }

    /// The till whose data folder it is.
    pub fn till(&self) -> Result<Till, Failure> {
        Till::open(&self.data)
    }
}

impl Till {
    /// Reads configuration and genesis from a merchant's data folder.
    pub fn open(folder: &Path) -> Result<Till, Failure> {
        let file = folder.join("config.toml");
        let config: MerchantConfig = config::load(&file, &[])?;
        let genesis = read_genesis(&config::relative_to(&file, &config.genesis))?;
        let first = genesis.currencies.first().ok_or(Reason::CurrencyUnknown)?;
        let (currency, exponent) = (first.code, first.exponent);
        Ok(Till { config, genesis, currency, exponent })
    }

    /// The merchant role, with the till's key from its data folder.
    pub fn client(&self, folder: &Path) -> Result<MerchantClient, Failure> {
        let key = read_text(&folder.join(TILL_KEY_FILE), 256)?;
        let url = format!("http://{}", self.config.listen);
        Ok(MerchantClient(Client::new(&url)?.with_token(key.trim())))
    }

    /// A price, such as `12.30`.
    pub fn amount(&self, text: &str) -> Result<Amount, Failure> {
        amount::typed(text, self.exponent)
    }

    /// A price, for the output.
    pub fn shown(&self, amount: Amount) -> AmountShown {
        AmountShown::new(amount, self.currency, self.exponent)
    }
}

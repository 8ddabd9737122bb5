//! What an operator has: the issuer's data folder with the operator's key; and `tally issuer
//! account`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tallystick_api::Client;
use tallystick_api::issuer::{HolderRequest, IssuerClient};
use tallystick_kernel::{CurrencyCode, Reason};
use tallystick_proofs::genesis::Genesis;

use crate::commands::receipt::read_genesis;
use crate::commands::{block_on, password, read_text};
use crate::config;
use crate::failure::Failure;
use crate::output::Output;
use crate::roles::issuer::config::{IssuerConfig, OPERATOR_KEY_FILE};
use crate::source;

/// An operator at work. The folder is only read: the role may be running in it.
pub struct Operator {
    /// The issuer, with the operator's key.
    pub issuer: IssuerClient,
    /// The network.
    pub genesis: Genesis,
    /// The currency that is issued.
    pub currency: CurrencyCode,
}

impl Operator {
    /// Reads configuration and key from an issuer's data folder.
    pub fn open(folder: &Path) -> Result<Operator, Failure> {
        let file = folder.join("config.toml");
        let config: IssuerConfig = config::load(&file, &[]).map_err(|failure| {
            failure.next_step("name the issuer's data folder with --data DIR")
        })?;
        let key = read_text(&folder.join(OPERATOR_KEY_FILE), 256)?;
        let client = Client::new(&format!("http://{}", config.listen))?.with_token(key.trim());
        Ok(Operator {
            issuer: IssuerClient(client),
            genesis: read_genesis(&config::relative_to(&file, &config.genesis))?,
            currency: config.currency()?,
        })
    }

    /// The decimals of the currency.
    pub fn exponent(&self) -> Result<u8, Reason> {
        let mut currencies = self.genesis.currencies.iter();
        let found = currencies.find(|entry| entry.code == self.currency);
        found.map(|entry| entry.exponent).ok_or(Reason::CurrencyUnknown)
    }
}

/// `tally issuer account`.
#[derive(Debug, Args)]
pub struct AccountArgs {
    /// The issuer's data folder.
    #[arg(long, value_name = "DIR", default_value = ".tally/issuer")]
    data: PathBuf,
    /// The login name.
    #[arg(long, value_name = "NAME")]
    holder: String,
    /// A file with the first password; without it, it is asked for.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    name: String,
}

/// Runs the command.
pub fn run(args: &AccountArgs, output: Output) -> Result<(), Failure> {
    let operator = Operator::open(&args.data)?;
    let password = password(args.password_file.as_deref(), "the holder's first password: ")?;
    let body = HolderRequest { name: args.holder.clone(), password: password.to_string() };
    let made = block_on(async {
        Ok(operator.issuer.create_holder(&body, &source::idempotency_key()?).await?)
    })?;
    let shown = Shown { id: made.id.to_string(), name: made.name };
    output.show(&shown, |shown| format!("holder {} ({})", shown.name, shown.id));
    Ok(())
}

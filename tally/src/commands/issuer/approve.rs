//! `tally issuer approve`: a holder decides a device's request at the issuer.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tallystick_api::issuer::{Decision, DeviceAuthorizationRequest, IssuerClient};
use tallystick_proofs::device_code::REQUEST_CHARS_MAX;

use crate::commands::login::LoginArgs;
use crate::commands::network_file::NetworkFile;
use crate::commands::{block_on, read_text};
use crate::failure::Failure;
use crate::output::Output;

/// `tally issuer approve`.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    #[command(flatten)]
    login: LoginArgs,
    /// The request that the wallet wrote.
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// Decline instead, for good.
    #[arg(long)]
    deny: bool,
}

#[derive(Serialize)]
struct Shown {
    device: String,
    account: String,
    authorization_code: Option<String>,
    expiry_ms: Option<u64>,
}

/// Runs the command.
pub fn run(args: &ApproveArgs, output: Output) -> Result<(), Failure> {
    let network = NetworkFile::read(&args.login.network)?;
    let login = args.login.request()?;
    let request = read_text(&args.request, REQUEST_CHARS_MAX + 2)?;
    let decision = if args.deny { Decision::Deny } else { Decision::Approve };
    let made = block_on(async {
        let issuer = network.issuer()?;
        let session = issuer.login(&login).await?;
        let IssuerClient(client) = issuer;
        let issuer = IssuerClient(client.with_token(&session.token));
        let body = DeviceAuthorizationRequest { request, decision: Some(decision) };
        Ok(issuer.authorize_device(&body).await?)
    })?;
    let shown = Shown {
        device: made.device,
        account: made.account,
        authorization_code: made.authorization_code,
        expiry_ms: made.expiry_ms,
    };
    output.progress(&format!("device   {}\naccount  {}", shown.device, shown.account));
    output.show(&shown, |shown| shown.authorization_code.clone().unwrap_or_default());
    Ok(())
}

//! `tally wallet init`: keys, login, ledger account, link. Each step is stored, so that running it
//! again goes on where it stopped; running it on a finished wallet only logs in anew.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tallystick_api::Bytes;
use tallystick_api::issuer::LinkRequest;
use tallystick_crypto::KeyStore as _;
use tallystick_crypto::key_store::Signer as _;
use tallystick_kernel::{Codec as _, Reason, Salt};
use tallystick_proofs::account_link;
use tallystick_proofs::transaction::account_id;

use super::folder::{ACCOUNT_KEY, GENESIS_FILE, SESSION, Wallet};
use crate::commands::block_on;
use crate::commands::login::LoginArgs;
use crate::commands::network_file::NetworkFile;
use crate::data_folder::{DataFolder, write_atomically};
use crate::failure::Failure;
use crate::output::Output;
use crate::source;
use crate::up::published::{NETWORK_FILE, NetworkDescription};

/// `tally wallet init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The wallet's data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    login: LoginArgs,
}

#[derive(Serialize)]
struct Shown {
    holder: String,
    account: String,
    account_token: Option<String>,
}

/// Runs the command.
pub fn run(args: &InitArgs, output: Output) -> Result<(), Failure> {
    copy_network(args)?;
    let mut wallet = Wallet::open(&args.data)?;
    if !wallet.state.holder_name.is_empty() && wallet.state.holder_name != args.login.holder {
        return Err(Failure::new(Reason::AlreadyOther)
            .cause(format!("this wallet is {}'s", wallet.state.holder_name))
            .next_step("make another wallet with --data DIR"));
    }
    let login = args.login.request()?;
    block_on(async {
        let session = wallet.network.issuer()?.login(&login).await?;
        wallet.secrets.put(SESSION, session.token.as_bytes())?;
        wallet.state.holder_name = args.login.holder.clone();
        wallet.state.holder = Some(session.holder);
        wallet.save()?;
        open_account(&mut wallet, output).await?;
        link(&mut wallet).await
    })?;
    let shown = Shown {
        holder: args.login.holder.clone(),
        account: wallet.state.require_account()?.to_string(),
        account_token: wallet.state.token,
    };
    output.show(&shown, |shown| format!("holder   {}\naccount  {}", shown.holder, shown.account));
    Ok(())
}

/// The wallet keeps what it must know of its network; a description that has changed replaces it.
fn copy_network(args: &InitArgs) -> Result<(), Failure> {
    let network = NetworkFile::read(&args.login.network)?;
    let folder = DataFolder::open(&args.data, "wallet")?;
    let known = folder.file(NETWORK_FILE);
    if known.exists()
        && NetworkFile::read(&known)?.description.network != network.description.network
    {
        return Err(Failure::new(Reason::WrongNetwork)
            .cause("this wallet belongs to another network")
            .next_step("make another wallet with --data DIR"));
    }
    write_atomically(&folder.file(GENESIS_FILE), &network.genesis.to_bytes(), 0o644)?;
    let description =
        NetworkDescription { genesis: GENESIS_FILE.to_owned(), ..network.description };
    let text = toml::to_string(&description).map_err(|_| Reason::Internal)?;
    write_atomically(&known, text.as_bytes(), 0o644)
}

async fn open_account(wallet: &mut Wallet, output: Output) -> Result<(), Failure> {
    if wallet.state.account.is_some() {
        return Ok(());
    }
    let now = source::now();
    let stale = wallet.state.opening.as_ref().is_some_and(|open| open.body.valid_until <= now);
    if stale || wallet.state.opening.is_none() {
        // One that is stale may still have been included: then the account is there.
        if let Some(opening) = &wallet.state.opening
            && wallet.network.nodes()?.account(&account_id(&opening.id())).await.is_ok()
        {
            wallet.state.account = Some(account_id(&opening.id()));
            return wallet.save();
        }
        let (network, salt) = (wallet.network.genesis.network(), Salt(source::random()?));
        let opening =
            tallystick_wallet::account::open(network, salt, now, &wallet.account_signer()?)?;
        wallet.state.opening = Some(opening);
        wallet.save()?;
    }
    let opening = wallet.state.opening.clone().ok_or(Reason::Internal)?;
    wallet.settle(&opening, output).await?;
    wallet.state.account = Some(account_id(&opening.id()));
    wallet.state.note(opening.id());
    wallet.save()
}

async fn link(wallet: &mut Wallet) -> Result<(), Failure> {
    if wallet.state.token.is_some() {
        return Ok(());
    }
    let holder = wallet.state.holder.ok_or(Reason::Internal)?;
    let account = wallet.state.require_account()?;
    let message = account_link::message(&wallet.network.genesis.network(), &holder, &account);
    let signature = wallet.account_signer()?.sign(&message)?;
    let request = LinkRequest {
        account,
        key: wallet.keys.public_key(ACCOUNT_KEY)?.to_string(),
        signature: Bytes(signature.to_bytes()),
    };
    let issuer = wallet.issuer_session()?;
    let linked = issuer.link(&request, &source::idempotency_key()?).await?;
    wallet.state.token = linked.account_token;
    wallet.save()
}

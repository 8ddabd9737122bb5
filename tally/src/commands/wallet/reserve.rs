//! `tally wallet reserve`: reserves locked to the issuer's mandate (capability 3).

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tallystick_kernel::{Amount, DurationMs, Salt};
use tallystick_proofs::transaction::reserve_id;
use tallystick_wallet::{account, reserve_list};

use super::folder::Wallet;
use crate::commands::block_on;
use crate::failure::Failure;
use crate::output::Output;
use crate::source;

/// `tally wallet reserve`.
#[derive(Debug, Args)]
pub struct ReserveArgs {
    /// The wallet's data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The sizes of the reserves.
    #[arg(required = true, value_name = "AMOUNT")]
    amounts: Vec<String>,
}

#[derive(Serialize)]
struct Shown {
    transaction: String,
    reserves: Vec<ReserveShown>,
}

#[derive(Serialize)]
struct ReserveShown {
    id: String,
    amount: String,
    shown: String,
}

/// Runs the command.
pub fn run(args: &ReserveArgs, output: Output) -> Result<(), Failure> {
    let mut wallet = Wallet::open(&args.data)?;
    let sizes = args.amounts.iter().map(|text| wallet.network.amount(text));
    let sizes = sizes.collect::<Result<Vec<Amount>, Failure>>()?;
    let shown = block_on(open(&mut wallet, &sizes, output))?;
    output.show(&shown, |shown| {
        let row = |reserve: &ReserveShown| format!("{:>14}  {}\n", reserve.shown, reserve.id);
        shown.reserves.iter().map(row).collect()
    });
    Ok(())
}

async fn open(wallet: &mut Wallet, sizes: &[Amount], output: Output) -> Result<Shown, Failure> {
    let account = wallet.state.require_account()?;
    let currency = wallet.network.currency;
    let balances = wallet.network.nodes()?.account(&account).await?.balances;
    let free = balances.iter().find(|balance| balance.currency == currency);
    let free = free.map_or(Amount::ZERO, |balance| balance.free);
    let mandate = wallet.network.issuer()?.mandate().await?;
    let delay = DurationMs(mandate.unlock_delay_ms);
    let action = reserve_list::open(currency, sizes, mandate.key.parse()?, delay, free).map_err(
        |reason| Failure::new(reason).cause(format!("free is {}", wallet.network.shown(free))),
    )?;
    let transaction = {
        let (network, salt) = (wallet.network.genesis.network(), Salt(source::random()?));
        let signer = wallet.account_signer()?;
        account::sign(network, account, action, salt, source::now(), &signer)?
    };
    let id = transaction.id();
    wallet.state.note(id);
    wallet.save()?;
    wallet.settle(&transaction, output).await?;
    let reserve = |(index, amount): (u64, &Amount)| ReserveShown {
        id: reserve_id(&id, index).to_string(),
        amount: amount.to_string(),
        shown: wallet.network.shown(*amount),
    };
    let reserves = (0..).zip(sizes).map(reserve).collect();
    Ok(Shown { transaction: id.to_string(), reserves })
}

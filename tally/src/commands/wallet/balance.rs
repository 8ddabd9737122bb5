//! `tally wallet balance`: what is free and what is reserved.

use serde::Serialize;
use tallystick_kernel::Amount;

use super::WalletFolderArgs;
use super::folder::Wallet;
use crate::commands::amount::AmountShown;
use crate::commands::block_on;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Serialize)]
struct Shown {
    account: String,
    free: AmountShown,
    reserved: AmountShown,
    reserves: Vec<ReserveShown>,
}

#[derive(Serialize)]
struct ReserveShown {
    id: String,
    #[serde(flatten)]
    amount: AmountShown,
    locked: bool,
}

/// Reserves that are shown at most.
const RESERVES_MAX: usize = 1000;

/// Runs the command.
pub fn run(args: &WalletFolderArgs, output: Output) -> Result<(), Failure> {
    let wallet = Wallet::open(&args.data)?;
    let shown = block_on(look(&wallet))?;
    output.show(&shown, |shown| {
        let row = |reserve: &ReserveShown| {
            let lock = if reserve.locked { "locked to the issuer" } else { "" };
            format!("  {:>14}  {}  {lock}\n", reserve.amount.shown, reserve.id)
        };
        let rows: String = shown.reserves.iter().map(row).collect();
        let Shown { account, free, reserved, .. } = shown;
        let (free, reserved) = (&free.shown, &reserved.shown);
        format!("account   {account}\nfree      {free}\nreserved  {reserved}\n{rows}")
    });
    Ok(())
}

async fn look(wallet: &Wallet) -> Result<Shown, Failure> {
    let account = wallet.state.require_account()?;
    let nodes = wallet.network.nodes()?;
    let currency = wallet.network.currency;
    let balances = nodes.account(&account).await?.balances;
    let balance = balances.iter().find(|balance| balance.currency == currency);
    let (free, reserved) =
        balance.map_or((Amount::ZERO, Amount::ZERO), |found| (found.free, found.reserved));
    let reserves = nodes.reserves(&account, RESERVES_MAX).await?;
    let reserve = |reserve: &tallystick_api::node::Reserve| ReserveShown {
        id: reserve.id.to_string(),
        amount: wallet.network.shown(reserve.amount),
        locked: reserve.lock.is_some(),
    };
    Ok(Shown {
        account: account.to_string(),
        free: wallet.network.shown(free),
        reserved: wallet.network.shown(reserved),
        reserves: reserves.iter().map(reserve).collect(),
    })
}

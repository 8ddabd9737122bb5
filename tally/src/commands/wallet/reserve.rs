//! `tally wallet reserve`: reserves locked to the issuer's mandate (capability 3).

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tallystick_kernel::{Amount, DurationMs, Salt};
use tallystick_proofs::transaction::reserve_id;
use tallystick_wallet::{account, reserve_list};

use super::folder::Wallet;
use crate::commands::amount::AmountShown;
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
    /// Wait this many seconds at most for money that is on its way.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    wait: u64,
    /// The sizes of the reserves.
    #[arg(required = true, value_name = "AMOUNT", allow_negative_numbers = true)]
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
    #[serde(flatten)]
    amount: AmountShown,
}

const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Runs the command.
pub fn run(args: &ReserveArgs, output: Output) -> Result<(), Failure> {
    let mut wallet = Wallet::open(&args.data)?;
    let sizes = args.amounts.iter().map(|text| wallet.network.amount(text));
    let sizes = sizes.collect::<Result<Vec<Amount>, Failure>>()?;
    let shown = block_on(open(&mut wallet, &sizes, args.wait, output))?;
    output.show(&shown, |shown| {
        let row =
            |reserve: &ReserveShown| format!("{:>14}  {}\n", reserve.amount.shown, reserve.id);
        shown.reserves.iter().map(row).collect()
    });
    Ok(())
}

/// What is free; looked at again for `wait` seconds while it is less than `wanted`.
async fn free(
    wallet: &Wallet,
    wanted: Amount,
    wait: u64,
    output: Output,
) -> Result<Amount, Failure> {
    let (account, nodes) = (wallet.state.require_account()?, wallet.network.nodes()?);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(wait);
    loop {
        let balances = nodes.account(&account).await?.balances;
        let mut balances = balances.iter();
        let found = balances.find(|balance| balance.currency == wallet.network.currency);
        let free = found.map_or(Amount::ZERO, |balance| balance.free);
        if free >= wanted || tokio::time::Instant::now() >= deadline {
            return Ok(free);
        }
        output.progress(&format!("free is {}; waiting for more", wallet.network.shown(free).shown));
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn open(
    wallet: &mut Wallet,
    sizes: &[Amount],
    wait: u64,
    output: Output,
) -> Result<Shown, Failure> {
    let account = wallet.state.require_account()?;
    let currency = wallet.network.currency;
    let free = free(wallet, Amount::sum(sizes.iter().copied())?, wait, output).await?;
    let mandate = wallet.network.issuer()?.mandate().await?;
    let delay = DurationMs(mandate.unlock_delay_ms);
    let action = reserve_list::open(currency, sizes, mandate.key.parse()?, delay, free).map_err(
        |reason| {
            Failure::new(reason).cause(format!("free is {}", wallet.network.shown(free).shown))
        },
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
        amount: wallet.network.shown(*amount),
    };
    let reserves = (0..).zip(sizes).map(reserve).collect();
    Ok(Shown { transaction: id.to_string(), reserves })
}

//! `tally bench charges`: the time from a charge at the till to its verified receipt.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde::Serialize;
use tallystick_api::Client;
use tallystick_api::issuer::Progress;
use tallystick_api::merchant::{ChargeRequest, MerchantClient};
use tallystick_kernel::limits::PAYMENT_CODE_LIFE_MAX;
use tallystick_kernel::{DurationMs, Reason};
use tallystick_proofs::payment_code;

use crate::commands::merchant::till::Till;
use crate::commands::wallet::folder::Wallet;
use crate::commands::{block_on, read_text};
use crate::failure::Failure;
use crate::output::Output;
use crate::roles::merchant::TILL_KEY_FILE;
use crate::source;

/// `tally bench charges`.
#[derive(Debug, Args)]
pub struct ChargesArgs {
    /// A certified wallet with enough reserves.
    #[arg(long, value_name = "DIR")]
    wallet: PathBuf,
    /// The merchant's data folder.
    #[arg(long, value_name = "DIR", default_value = ".tally/merchant")]
    data: PathBuf,
    /// How many payments.
    #[arg(long, value_name = "N", default_value_t = 50)]
    count: usize,
    /// How much each pays.
    #[arg(long, value_name = "AMOUNT", default_value = "0.10")]
    amount: String,
}

#[derive(Serialize)]
struct Shown {
    payments: usize,
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

/// Runs the workload.
pub fn run(args: &ChargesArgs, output: Output) -> Result<(), Failure> {
    let mut times = block_on(charges(args))?;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (share * times.len() as f64).ceil() as usize;
        times.get(place.saturating_sub(1)).copied().unwrap_or_default()
    };
    let shown = Shown {
        payments: times.len(),
        p50_ms: at(0.5),
        p90_ms: at(0.9),
        p99_ms: at(0.99),
        max_ms: at(1.0),
    };
    output.show(&shown, |shown| {
        format!(
            "{} payments, charge to verified receipt: p50 {:.0} ms, p90 {:.0} ms, p99 {:.0} ms, \
             max {:.0} ms",
            shown.payments, shown.p50_ms, shown.p90_ms, shown.p99_ms, shown.max_ms
        )
    });
    Ok(())
}

async fn charges(args: &ChargesArgs) -> Result<Vec<f64>, Failure> {
    let till = Till::open(&args.data)?;
    let key = read_text(&args.data.join(TILL_KEY_FILE), 256)?;
    let url = format!("http://{}", till.config.listen);
    let merchant = MerchantClient(Client::new(&url)?.with_token(key.trim()));
    let amount = till.amount(&args.amount)?;
    let mut wallet = Wallet::open(&args.wallet)?;
    let mut times = Vec::with_capacity(args.count);
    for _ in 0..args.count {
        let code = code(&mut wallet)?;
        let order = String::new();
        let body = ChargeRequest { code, currency: till.currency, amount, order };
        let begun = Instant::now();
        let charge = merchant.charge(&body, &source::idempotency_key()?).await?;
        let charge = merchant.charge_status(&charge.id, DurationMs::seconds(30)).await?;
        if charge.state != Progress::Settled {
            let reason = charge.failure.as_deref().and_then(Reason::from_code);
            return Err(Failure::new(reason.unwrap_or(Reason::Timeout))
                .cause(format!("after {} payments", times.len())));
        }
        let receipt = merchant.receipt(&charge.id).await?;
        crate::commands::merchant::charge::check(&till, &charge, &receipt)?;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(times)
}

fn code(wallet: &mut Wallet) -> Result<String, Failure> {
    let (id, life) = (source::random()?, PAYMENT_CODE_LIFE_MAX);
    let next = tallystick_wallet::payment_code::next(&wallet.state, id, None, life, source::now())?;
    let (state, claims) = next;
    wallet.state = state;
    wallet.save()?;
    let chain = wallet.state.chain.get(..1).map(<[Vec<u8>]>::to_vec);
    Ok(payment_code::make(&claims, &wallet.device_signer()?, chain.as_ref())?)
}

//! `tally merchant receipt` and `tally merchant charges`: what became of charges.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tallystick_api::Page;
use tallystick_api::merchant::Charge;
use tallystick_kernel::{DurationMs, Reason};

use super::charge::{check, ended};
use super::till::Till;
use crate::commands::block_on;
use crate::data_folder::write_atomically;
use crate::failure::Failure;
use crate::output::Output;

/// `tally merchant receipt`.
#[derive(Debug, Args)]
pub struct ReceiptArgs {
    /// The merchant's data folder; it is only read.
    #[arg(long, value_name = "DIR", default_value = ".tally/merchant")]
    data: PathBuf,
    /// The charge, as `tally merchant charge` named it.
    #[arg(value_name = "CHARGE")]
    charge: String,
    /// Write the verified receipt here.
    #[arg(long, value_name = "FILE")]
    receipt: PathBuf,
    /// Wait this many seconds at most for the receipt.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,
}

/// `tally merchant charges`.
#[derive(Debug, Args)]
pub struct ChargesArgs {
    /// The merchant's data folder; it is only read.
    #[arg(long, value_name = "DIR", default_value = ".tally/merchant")]
    data: PathBuf,
}

/// A charge with its amount for people.
#[derive(Serialize)]
struct ChargeShown {
    #[serde(flatten)]
    charge: Charge,
    shown: String,
}

fn shown(till: &Till, charge: Charge) -> ChargeShown {
    let shown = till.shown(charge.amount).shown;
    ChargeShown { charge, shown }
}

/// Runs `tally merchant receipt`.
pub fn run(args: &ReceiptArgs, output: Output) -> Result<(), Failure> {
    let till = Till::open(&args.data)?;
    let merchant = till.client(&args.data)?;
    let is_id = args.charge.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_id {
        return Err(Failure::new(Reason::HexMalformed)
            .cause(format!("the charge {}", args.charge))
            .next_step("type a charge's id; tally merchant charges lists them")
            .usage());
    }
    let (charge, receipt) = block_on(async {
        let wait = DurationMs::seconds(args.wait);
        let charge = merchant.charge_status(&args.charge, wait).await?;
        ended(&charge)?;
        let receipt = merchant.receipt(&charge.id).await?;
        Ok((charge, receipt))
    })?;
    check(&till, &charge, &receipt)?;
    write_atomically(&args.receipt, &receipt, 0o644)?;
    output.show(&shown(&till, charge), |shown| {
        let paid = &shown.shown;
        format!("paid {paid}, receipt verified and written to {}", args.receipt.display())
    });
    Ok(())
}

/// Runs `tally merchant charges`: the latest page of them.
pub fn list(args: &ChargesArgs, output: Output) -> Result<(), Failure> {
    let till = Till::open(&args.data)?;
    let merchant = till.client(&args.data)?;
    let page = block_on(async { Ok(merchant.charges(None).await?) })?;
    let items = page.items.into_iter().map(|charge| shown(&till, charge)).collect();
    output.show(&Page { items, next: page.next }, |page| {
        let row = |ChargeShown { charge, shown }: &ChargeShown| {
            let time = crate::clock_text::utc(charge.created_ms);
            let state = match &charge.failure {
                Some(code) => format!("failed: {code}"),
                None => format!("{:?}", charge.state).to_lowercase(),
            };
            format!("{time}  {shown:>14}  {state:<10}  {}\n", charge.id)
        };
        let rows: String = page.items.iter().map(row).collect();
        if rows.is_empty() { "no charges yet".to_owned() } else { rows }
    });
    Ok(())
}

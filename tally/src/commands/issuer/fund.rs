//! `tally issuer fund`: the operator gives a holder money.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tallystick_api::issuer::{Funding, FundingRequest, Progress};
use tallystick_kernel::{DurationMs, Reason};

use super::operator::Operator;
use crate::commands::amount::{self, AmountShown};
use crate::commands::block_on;
use crate::failure::Failure;
use crate::output::Output;
use crate::source;

/// `tally issuer fund`.
#[derive(Debug, Args)]
pub struct FundArgs {
    /// The issuer's data folder.
    #[arg(long, value_name = "DIR", default_value = ".tally/issuer")]
    data: PathBuf,
    /// The holder's login name.
    #[arg(long, value_name = "NAME")]
    holder: String,
    /// How much.
    #[arg(value_name = "AMOUNT", allow_negative_numbers = true)]
    amount: String,
    /// Wait this many seconds for the money to be there.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    state: Progress,
    transaction: Option<String>,
    code: Option<String>,
    #[serde(flatten)]
    amount: AmountShown,
}

/// A funding that ended without money.
fn failed(made: &Funding) -> Failure {
    let reason = made.code.as_deref().and_then(Reason::from_code);
    let failure = Failure::new(reason.unwrap_or(Reason::SettlementFailed));
    failure.cause(format!("the funding {} failed; nothing was minted", made.id))
}

/// Runs the command.
pub fn run(args: &FundArgs, output: Output) -> Result<(), Failure> {
    let operator = Operator::open(&args.data)?;
    let exponent = operator.exponent()?;
    let amount = amount::typed(&args.amount, exponent)?;
    let body = FundingRequest {
        holder: Some(args.holder.clone()),
        account: None,
        currency: operator.currency,
        amount,
    };
    let made = block_on(async {
        let made = operator.issuer.fund(&body, &source::idempotency_key()?).await?;
        match args.wait {
            0 => Ok(made),
            wait => Ok(operator.issuer.funding(&made.id, DurationMs::seconds(wait)).await?),
        }
    })?;
    let state = match made.state {
        Progress::Accepted => "accepted; it is minted as soon as the holder has an account linked",
        Progress::Submitted => "on its way to the ledger",
        Progress::Settled => "minted",
        Progress::Failed => return Err(failed(&made)),
    };
    let shown = Shown {
        id: made.id,
        state: made.state,
        transaction: made.transaction.map(|id| id.to_string()),
        code: made.code,
        amount: AmountShown::new(amount, operator.currency, exponent),
    };
    output.show(&shown, |shown| format!("{}: {state}", shown.amount.shown));
    Ok(())
}

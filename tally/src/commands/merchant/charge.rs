//! `tally merchant charge`: from a code to a verified receipt.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tallystick_api::Client;
use tallystick_api::issuer::Progress;
use tallystick_api::merchant::{Charge, ChargeRequest, MerchantClient};
use tallystick_kernel::{AccountId, DurationMs, Reason};
use tallystick_proofs::action::Action;
use tallystick_proofs::receipt::Receipt;

use super::till::{Till, TillArgs};
use crate::commands::{block_on, read_text};
use crate::data_folder::write_atomically;
use crate::failure::Failure;
use crate::output::Output;
use crate::roles::merchant::TILL_KEY_FILE;
use crate::source;

/// `tally merchant charge`.
#[derive(Debug, Args)]
pub struct ChargeArgs {
    #[command(flatten)]
    till: TillArgs,
    /// How much.
    #[arg(long, value_name = "AMOUNT")]
    amount: String,
    /// What it is for; only a salted hash of it leaves the merchant.
    #[arg(long, value_name = "TEXT", default_value = "")]
    order: String,
    /// Write the verified receipt here.
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    /// Wait this many seconds at most for the receipt.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,
}

#[derive(Serialize)]
struct Shown {
    charge: String,
    transaction: String,
    amount: String,
    reference: String,
    receipt: Option<String>,
    #[serde(skip)]
    text: String,
}

/// Runs the command.
pub fn run(args: &ChargeArgs, output: Output) -> Result<(), Failure> {
    let code = args.till.text()?;
    let till = args.till.till()?;
    let key = read_text(&args.till.data.join(TILL_KEY_FILE), 256)?;
    let url = format!("http://{}", till.config.listen);
    let merchant = MerchantClient(Client::new(&url)?.with_token(key.trim()));
    let amount = till.amount(&args.amount)?;
    let body = ChargeRequest { code, currency: till.currency, amount, order: args.order.clone() };
    let (charge, receipt) = block_on(async {
        let charge = merchant.charge(&body, &source::idempotency_key()?).await?;
        output.progress(&format!("charge {} is on its way", charge.id));
        let wait = DurationMs::seconds(args.wait);
        let charge = merchant.charge_status(&charge.id, wait).await?;
        ended(&charge)?;
        let receipt = merchant.receipt(&charge.id).await?;
        Ok((charge, receipt))
    })?;
    check(&till, &charge, &receipt)?;
    if let Some(path) = &args.receipt {
        write_atomically(path, &receipt, 0o644)?;
    }
    let shown = Shown {
        charge: charge.id,
        transaction: charge.transaction.map_or(String::new(), |id| id.to_string()),
        amount: amount.to_string(),
        reference: charge.reference,
        receipt: args.receipt.as_ref().map(|path| path.display().to_string()),
        text: till.shown(amount),
    };
    output.show(&shown, |shown| {
        format!("paid {}, receipt verified\ntransaction  {}", shown.text, shown.transaction)
    });
    Ok(())
}

fn ended(charge: &Charge) -> Result<(), Failure> {
    match charge.state {
        Progress::Settled => Ok(()),
        Progress::Failed => {
            let reason = charge.failure.as_deref().and_then(Reason::from_code);
            Err(Failure::new(reason.unwrap_or(Reason::SettlementFailed))
                .cause(format!("charge {} failed", charge.id)))
        }
        Progress::Accepted | Progress::Submitted => Err(Failure::new(Reason::Timeout)
            .cause(format!("charge {} has not ended yet", charge.id))
            .next_step("the merchant goes on with it; do not charge again")),
    }
}

/// The till trusts nobody: the receipt must pay this merchant this amount under this reference.
pub fn check(till: &Till, charge: &Charge, receipt: &[u8]) -> Result<(), Failure> {
    let verified = Receipt::read(receipt)?.verify(&till.genesis)?;
    verified.require_payment()?;
    let payee: AccountId = till.config.account.parse()?;
    let Action::Remit { currency, lines, .. } = &verified.body.action else {
        return Err(Reason::ReceiptMismatch.into());
    };
    let pays = lines.iter().any(|line| {
        let reference = line.reference.map(|reference| reference.to_string());
        line.payee == payee
            && line.amount == charge.amount
            && reference.as_deref() == Some(charge.reference.as_str())
    });
    if pays && *currency == charge.currency {
        Ok(())
    } else {
        Err(Failure::new(Reason::ReceiptMismatch).cause("the receipt is of another payment"))
    }
}

//! `tally merchant charge`: from a code to a verified receipt.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tallystick_api::issuer::Progress;
use tallystick_api::merchant::{Charge, ChargeRequest};
use tallystick_kernel::{AccountId, DurationMs, Reason};
use tallystick_proofs::action::Action;
use tallystick_proofs::receipt::Receipt;

use super::till::{Till, TillArgs};
use crate::commands::amount::AmountShown;
use crate::commands::block_on;
use crate::data_folder::write_atomically;
use crate::failure::Failure;
use crate::output::Output;
use crate::source;

/// `tally merchant charge`.
#[derive(Debug, Args)]
pub struct ChargeArgs {
    #[command(flatten)]
    till: TillArgs,
    /// How much.
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
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
    #[serde(flatten)]
    amount: AmountShown,
    reference: String,
    receipt: Option<String>,
}

/// Runs the command.
pub fn run(args: &ChargeArgs, output: Output) -> Result<(), Failure> {
    let code = args.till.text()?;
    let till = args.till.till()?;
    let merchant = till.client(&args.till.data)?;
    // Nobody is charged for a receipt that cannot be written.
    args.receipt.as_deref().map_or(Ok(()), require_writable)?;
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
        write_atomically(path, &receipt, 0o644).map_err(|failure| {
            failure
                .cause(format!("charge {} IS PAID; only its receipt was not written", charge.id))
                .next_step(format!("tally merchant receipt {} --receipt FILE", charge.id))
        })?;
    }
    let shown = Shown {
        charge: charge.id,
        transaction: charge.transaction.map_or(String::new(), |id| id.to_string()),
        amount: till.shown(amount),
        reference: charge.reference,
        receipt: args.receipt.as_ref().map(|path| path.display().to_string()),
    };
    output.show(&shown, |shown| {
        format!("paid {}, receipt verified\ntransaction  {}", shown.amount.shown, shown.transaction)
    });
    Ok(())
}

/// Whether a charge is paid; what is to be done if not.
pub fn ended(charge: &Charge) -> Result<(), Failure> {
    match charge.state {
        Progress::Settled => Ok(()),
        Progress::Failed => {
            let reason = charge.failure.as_deref().and_then(Reason::from_code);
            Err(Failure::new(reason.unwrap_or(Reason::SettlementFailed))
                .cause(format!("charge {} failed", charge.id)))
        }
        Progress::Accepted | Progress::Submitted => Err(Failure::new(Reason::Timeout)
            .cause(format!("charge {} has not ended yet", charge.id))
            .next_step(format!(
                "the merchant goes on with it; do not charge again, but look with: \
                 tally merchant receipt {} --receipt FILE",
                charge.id
            ))),
    }
}

fn require_writable(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let tried = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
    match tried {
        Ok(_) if path.is_dir() => Err(Failure::new(Reason::FileUnreadable)
            .cause(format!("{} is a folder", path.display()))
            .next_step("name a file for --receipt; nothing was charged")),
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::new(Reason::FileUnreadable)
            .cause(format!("{}: {error}", path.display()))
            .next_step("name a file that can be written for --receipt; nothing was charged")),
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

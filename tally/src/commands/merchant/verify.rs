//! `tally merchant verify`: a payment code, checked with what lies in the merchant's data folder.

use clap::Args;
use serde::Serialize;
use tallystick_kernel::{Reason, hex};
use tallystick_merchant::payment_code;

use super::till::TillArgs;
use crate::commands::amount::AmountShown;
use crate::failure::Failure;
use crate::output::Output;
use crate::roles::merchant::trust;
use crate::source;

/// `tally merchant verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    till: TillArgs,
}

#[derive(Serialize)]
struct Shown {
    valid: bool,
    account_token: String,
    key_id: String,
    code_id: String,
    counter: u64,
    expiry_ms: u64,
    /// Bound to this amount, if to any.
    #[serde(flatten)]
    amount: Option<AmountShown>,
    /// Never offline: only the issuer knows.
    checked_for_replay: bool,
}

/// Runs the command.
pub fn run(args: &VerifyArgs, output: Output) -> Result<(), Failure> {
    let text = args.till.text()?;
    let trust = trust::read(&args.till.data)?;
    let code = payment_code::verify(&text, None, &trust, source::now()).map_err(explained)?;
    let amount = match code.claims.amount {
        Some((_, amount)) => Some(args.till.till()?.shown(amount)),
        None => None,
    };
    let shown = Shown {
        valid: true,
        checked_for_replay: false,
        amount,
        account_token: code.claims.account_token,
        key_id: hex::encode(&code.key_id.0),
        code_id: hex::encode(&code.claims.code_id),
        counter: code.claims.counter,
        expiry_ms: code.claims.expires.0,
    };
    output.show(&shown, |shown| {
        format!(
            "valid: signed by a certified device, until {}\nbound to {}\naccount token  {}\n\
             not checked offline: whether it was used before",
            crate::clock_text::utc(shown.expiry_ms),
            shown.amount.as_ref().map_or("no amount", |amount| &amount.shown),
            shown.account_token
        )
    });
    Ok(())
}

/// What to do about a code that does not verify.
pub fn explained(reason: Reason) -> Failure {
    let failure = Failure::new(reason);
    match reason {
        Reason::KeyUnknown => failure
            .next_step("ask for a code with its certificate: tally wallet code --first-contact"),
        Reason::Expired => failure.next_step("ask for a new code: one lives a minute"),
        Reason::RevocationUnknown => {
            failure.next_step("let the merchant role reach the issuer, for a current list")
        }
        _ => failure,
    }
}

//! `tally wallet history`: the payments that the issuer authorised, each proven by a receipt from
//! the ledger that is verified here.

use serde::Serialize;
use tallystick_api::NodeClient;
use tallystick_api::issuer::{Payment, Progress};
use tallystick_kernel::{Reason, TransactionId};
use tallystick_proofs::receipt::{Receipt, VerifiedReceipt};

use super::WalletFolderArgs;
use super::folder::Wallet;
use crate::commands::amount::AmountShown;
use crate::commands::block_on;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Serialize)]
struct Shown {
    payments: Vec<PaymentShown>,
}

#[derive(Serialize)]
struct PaymentShown {
    created_ms: u64,
    payee: String,
    #[serde(flatten)]
    amount: AmountShown,
    state: Progress,
    transaction: Option<String>,
    /// Whether a receipt was verified here.
    proven: bool,
    code: Option<String>,
}

/// Runs the command.
pub fn run(args: &WalletFolderArgs, output: Output) -> Result<(), Failure> {
    let wallet = Wallet::open(&args.data)?;
    let shown = block_on(look(&wallet))?;
    output.show(&shown, |shown| {
        let row = |payment: &PaymentShown| {
            let time = crate::clock_text::utc(payment.created_ms);
            let proof = match (payment.proven, &payment.code) {
                (true, _) => "receipt verified".to_owned(),
                (false, Some(code)) => format!("failed: {code}"),
                (false, None) => "not final yet".to_owned(),
            };
            format!("{time}  {:>14}  to {}  {proof}\n", payment.amount.shown, payment.payee)
        };
        let rows: String = shown.payments.iter().map(row).collect();
        if rows.is_empty() { "no payments yet".to_owned() } else { rows }
    });
    Ok(())
}

async fn look(wallet: &Wallet) -> Result<Shown, Failure> {
    let account = wallet.state.require_account()?;
    let nodes = wallet.network.nodes()?;
    let mut payments = Vec::new();
    for payment in latest(wallet).await? {
        let settled = payment.authorization.state == Progress::Settled;
        let transaction = payment.authorization.transaction.filter(|_| settled);
        let proven = match transaction {
            Some(id) => {
                let verified = receipt(wallet, &nodes, &id).await?;
                if verified.body.account != account {
                    return Err(Failure::new(Reason::ReceiptMismatch)
                        .cause(format!("the issuer shows {id}, which is another account's")));
                }
                true
            }
            None => false,
        };
        payments.push(shown(wallet, payment, proven));
    }
    Ok(Shown { payments })
}

/// The latest payments, the oldest of them first.
async fn latest(wallet: &Wallet) -> Result<Vec<Payment>, Failure> {
    let issuer = wallet.issuer_session()?;
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = issuer.payments(cursor.as_deref()).await?;
        found.extend(page.items);
        cursor = page.next;
        if cursor.is_none() || found.len() >= PAYMENTS_MAX {
            break;
        }
    }
    found.reverse();
    Ok(found)
}

async fn receipt(
    wallet: &Wallet,
    nodes: &NodeClient,
    id: &TransactionId,
) -> Result<VerifiedReceipt, Failure> {
    let bytes = nodes.receipt(id).await?;
    let verified = Receipt::read(&bytes)?.verify(&wallet.network.genesis)?;
    verified.require_payment()?;
    if verified.id != *id {
        return Err(Reason::ReceiptMismatch.into());
    }
    Ok(verified)
}

fn shown(wallet: &Wallet, payment: Payment, proven: bool) -> PaymentShown {
    let made = payment.authorization;
    PaymentShown {
        created_ms: payment.created_ms,
        payee: payment.payee.to_string(),
        amount: wallet.network.shown(made.amount),
        state: made.state,
        transaction: made.transaction.map(|id| id.to_string()),
        proven,
        code: made.code,
    }
}

/// Payments that are shown; a page more at most.
const PAYMENTS_MAX: usize = 1000;

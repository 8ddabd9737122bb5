//! `tally receipt verify`: a receipt, checked offline against the genesis file alone.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use tallystick_kernel::limits::{GENESIS_BYTES_MAX, RECEIPT_BYTES_MAX};
use tallystick_proofs::action::{Action, Line};
use tallystick_proofs::genesis::Genesis;
use tallystick_proofs::receipt::{Receipt, VerifiedReceipt};

use super::amount::AmountShown;
use crate::data_folder::read_bounded;
use crate::failure::Failure;
use crate::output::Output;

/// `tally receipt`.
#[derive(Debug, Args)]
pub struct ReceiptArgs {
    #[command(subcommand)]
    command: ReceiptCommand,
}

#[derive(Debug, Subcommand)]
enum ReceiptCommand {
    /// Check a receipt offline: nothing is asked of anyone.
    ///
    /// Exit code 0 only for a receipt of a payment that succeeded.
    #[command(
        after_help = "Example:\n  tally receipt verify receipt.tally --genesis .tally/genesis.tally"
    )]
    Verify {
        /// The receipt.
        file: PathBuf,
        /// The network's genesis file: the one thing that is trusted.
        #[arg(long, default_value = ".tally/genesis.tally")]
        genesis: PathBuf,
    },
}

/// What a verified receipt says, for the output.
#[derive(Debug, Serialize)]
pub struct ReceiptShown {
    /// The transaction's id.
    pub id: String,
    /// Whether it succeeded.
    pub paid: bool,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// What it did.
    pub action: &'static str,
    /// The network it is of.
    pub network: String,
    /// Whose money moved.
    pub account: String,
    /// What was paid.
    pub lines: Vec<LineShown>,
    /// The height of its block.
    pub height: u64,
    /// The time of the block that reports it.
    pub time_ms: u64,
}

/// One payment.
#[derive(Debug, Serialize)]
pub struct LineShown {
    /// Who was paid.
    pub payee: String,
    /// How much.
    #[serde(flatten)]
    pub amount: AmountShown,
    /// By what the payee finds the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// Runs the command.
pub fn run(args: &ReceiptArgs, output: Output) -> Result<(), Failure> {
    let ReceiptCommand::Verify { file, genesis } = &args.command;
    let genesis = read_genesis(genesis)?;
    let verified = verify_file(file, &genesis)?;
    output.show(&shown(&verified, &genesis), to_text);
    Ok(verified.require_payment()?)
}

/// Reads a genesis file; fails with the reasons of [`Genesis::read`].
pub fn read_genesis(path: &Path) -> Result<Genesis, Failure> {
    let bytes = read_bounded(path, GENESIS_BYTES_MAX)
        .map_err(|failure| failure.next_step("name the genesis file with --genesis FILE"))?;
    Genesis::read(&bytes)
        .map_err(|reason| Failure::new(reason).cause(format!("genesis file {}", path.display())))
}

/// What a verified receipt says, in the words of its network.
pub fn shown(verified: &VerifiedReceipt, genesis: &Genesis) -> ReceiptShown {
    ReceiptShown {
        id: verified.id.to_string(),
        paid: verified.result.is_success(),
        code: verified.result.failure.map(|reason| reason.code()),
        action: verified.body.action.name(),
        network: verified.body.network.to_string(),
        account: verified.body.account.to_string(),
        lines: lines(&verified.body.action, genesis),
        height: verified.result.height,
        time_ms: verified.reported.0,
    }
}

fn verify_file(path: &Path, genesis: &Genesis) -> Result<VerifiedReceipt, Failure> {
    let bytes = read_bounded(path, RECEIPT_BYTES_MAX)?;
    let verified = Receipt::read(&bytes).and_then(|receipt| receipt.verify(genesis));
    verified.map_err(|reason| Failure::new(reason).cause(format!("receipt {}", path.display())))
}

fn lines(action: &Action, genesis: &Genesis) -> Vec<LineShown> {
    let (currency, lines) = match action {
        Action::Transfer { currency, lines } | Action::Remit { currency, lines, .. } => {
            (currency, lines.clone())
        }
        Action::Mint { currency, payee, amount, reference } => {
            (currency, vec![Line { payee: *payee, amount: *amount, reference: *reference }])
        }
        _ => return Vec::new(),
    };
    let entry = genesis.currencies.iter().find(|entry| entry.code == *currency);
    let exponent = entry.map_or(0, |entry| entry.exponent);
    let shown = |line: &Line| LineShown {
        payee: line.payee.to_string(),
        amount: AmountShown::new(line.amount, *currency, exponent),
        reference: line.reference.map(|reference| reference.to_string()),
    };
    lines.iter().map(shown).collect()
}

fn to_text(receipt: &ReceiptShown) -> String {
    let mut text = match receipt.code {
        None => "verified: paid\n".to_owned(),
        Some(code) => format!("verified: NOT paid ({code})\n"),
    };
    let mut row = |name: &str, value: &str| {
        text.push_str(&format!("{name:<12}{value}\n"));
    };
    row("transaction", &receipt.id);
    row("action", receipt.action);
    row("network", &receipt.network);
    row("account", &receipt.account);
    for line in &receipt.lines {
        row("paid", &format!("{} to {}", line.amount.shown, line.payee));
        if let Some(reference) = &line.reference {
            row("reference", reference);
        }
    }
    row("height", &receipt.height.to_string());
    row("time", &crate::clock_text::utc(receipt.time_ms));
    text
}

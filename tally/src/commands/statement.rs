//! `tally statement verify`: what an account held at a checkpoint, checked offline against the
//! genesis file alone.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use tallystick_kernel::limits::RECEIPT_BYTES_MAX;
use tallystick_kernel::{AccountId, Amount, Codec as _, Reason, hex};
use tallystick_ledger::{Account, Place};
use tallystick_proofs::genesis::Genesis;
use tallystick_proofs::state_statement::{StateStatement, VerifiedStatement};

use super::amount::AmountShown;
use super::receipt::read_genesis;
use crate::data_folder::read_bounded;
use crate::failure::Failure;
use crate::output::Output;

/// Bytes of an entry at most.
const ENTRY_BYTES_MAX: usize = 16 * 1024;

/// `tally statement`.
#[derive(Debug, Args)]
pub struct StatementArgs {
    #[command(subcommand)]
    command: StatementCommand,
}

#[derive(Debug, Subcommand)]
enum StatementCommand {
    /// Check a statement offline: nothing is asked of anyone.
    ///
    /// A node gives it at /v1/accounts/{id}/statement.
    #[command(
        after_help = "Example:\n  tally statement verify statement.tally --genesis .tally/genesis.tally"
    )]
    Verify {
        /// The statement.
        file: PathBuf,
        /// The network's genesis file: the one thing that is trusted.
        #[arg(long, default_value = ".tally/genesis.tally")]
        genesis: PathBuf,
    },
}

/// What a verified statement says, for the output.
#[derive(Debug, Serialize)]
struct StatementShown {
    /// The account that it speaks of.
    account: String,
    /// Whether there is such an account.
    exists: bool,
    /// The owners' public keys.
    keys: Vec<String>,
    /// What it could spend freely, of each currency.
    free: Vec<AmountShown>,
    /// The height of the checkpoint.
    checkpoint: u64,
    /// Its root.
    root: String,
    /// The time of the block that reports it.
    time_ms: u64,
}

/// Runs the command.
pub fn run(args: &StatementArgs, output: Output) -> Result<(), Failure> {
    let StatementCommand::Verify { file, genesis } = &args.command;
    let genesis = read_genesis(genesis)?;
    let read = read_bounded(file, RECEIPT_BYTES_MAX)?;
    let shown = verified(&read, &genesis);
    let shown = shown.map_err(|reason| Failure::new(reason).cause(told(file)))?;
    output.show(&shown, to_text);
    Ok(())
}

fn told(file: &Path) -> String {
    format!("statement {}", file.display())
}

fn verified(bytes: &[u8], genesis: &Genesis) -> Result<StatementShown, Reason> {
    let verified = StateStatement::read(bytes)?.verify(genesis)?;
    let account = match verified.entries.first() {
        Some((key, _)) => Place::of_key(key)?,
        None => return Err(Reason::ListEmpty),
    };
    let Place::Account(account) = account else { return Err(Reason::Malformed) };
    shown(account, &verified, genesis)
}

/// What is said of one account; [`Reason::Malformed`] for entries of anything else.
fn shown(
    account: AccountId,
    verified: &VerifiedStatement,
    genesis: &Genesis,
) -> Result<StatementShown, Reason> {
    let mut shown = StatementShown {
        account: account.to_string(),
        exists: false,
        keys: Vec::new(),
        free: Vec::new(),
        checkpoint: verified.checkpoint,
        root: hex::encode(&verified.root),
        time_ms: verified.reported.0,
    };
    for (key, value) in &verified.entries {
        match (Place::of_key(key)?, value) {
            (Place::Account(id), Some(value)) if id == account => {
                let entry = Account::from_bytes(value, ENTRY_BYTES_MAX)?;
                shown.exists = true;
                shown.keys = entry.owners.keys.iter().map(ToString::to_string).collect();
            }
            (Place::Account(id), None) if id == account => {}
            (Place::Balance(id, currency), value) if id == account => {
                let free = match value {
                    Some(value) => Amount::from_bytes(value, ENTRY_BYTES_MAX)?,
                    None => Amount::ZERO,
                };
                let entry = genesis.currencies.iter().find(|entry| entry.code == currency);
                let exponent = entry.map_or(0, |entry| entry.exponent);
                shown.free.push(AmountShown::new(free, currency, exponent));
            }
            _ => return Err(Reason::Malformed),
        }
    }
    Ok(shown)
}

fn to_text(shown: &StatementShown) -> String {
    let is = if shown.exists { "verified" } else { "verified: there is NO such account" };
    let mut text = format!("{is}\n");
    let mut row = |name: &str, value: &str| text.push_str(&format!("{name:<12}{value}\n"));
    row("account", &shown.account);
    shown.keys.iter().for_each(|key| row("key", key));
    shown.free.iter().for_each(|amount| row("free", &amount.shown));
    row("checkpoint", &shown.checkpoint.to_string());
    row("root", &shown.root);
    row("time", &crate::clock_text::utc(shown.time_ms));
    text
}

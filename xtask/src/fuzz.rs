//! Damaged bytes for the decoders, for as long as somebody wants.

use std::process::{Command, ExitCode};

use clap::Args;

use crate::repository;

/// Gives every decoder that faces the network damaged bytes (the gate does so with a bounded number
/// of inputs, among its tests).
#[derive(Args, Debug)]
pub struct Arguments {
    /// Flags of the program; `cargo xtask fuzz -- --help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    fuzz: Vec<String>,
}

/// Runs the command: exit code 0 when nothing went wrong.
pub fn run(arguments: &Arguments) -> ExitCode {
    let mut command = Command::new("cargo");
    command.args(["run", "--release", "-p", "tallystick-fuzz", "--"]).args(&arguments.fuzz);
    let status = command.current_dir(repository::root()).status();
    if status.is_ok_and(|status| status.success()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

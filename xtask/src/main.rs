//! The gate, the tidy checks and the vector runner: `cargo xtask`.

mod browser;
mod commands;
mod fuzz;
mod gate;
mod interface;
mod network;
mod policy;
mod readme;
mod repository;
mod setup;
mod sim;
mod tidy;
mod vectors;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Works on the repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything that must pass before a commit lands.
    Test(gate::Arguments),
    /// Decide the test vectors of a folder.
    Vectors(vectors::Arguments),
    /// Simulate the whole network under seeds.
    Sim(sim::Arguments),
    /// Give decoders damaged bytes.
    Fuzz(fuzz::Arguments),
    /// List the Debian packages that the gate needs.
    Packages,
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Test(arguments) => gate::run(&arguments),
        Command::Vectors(arguments) => vectors::run(&arguments),
        Command::Sim(arguments) => sim::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Packages => {
            setup::PACKAGES.iter().for_each(|package| println!("{package}"));
            ExitCode::SUCCESS
        }
    }
}

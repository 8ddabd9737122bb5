//! Everything that the `tally` binary does: roles, HTTP servers, the command line, local networks.
//!
//! Invariants: this crate is where clock, randomness and files come from; what a party decides is
//! in that party's crate. No route exists without an [`http::access::Access`]. No secret is
//! logged or shown, but where showing it is the command.

pub mod cli;
pub mod clock_text;
pub mod commands;
pub mod config;
pub mod console;
pub mod data_folder;
pub mod exit;
pub mod failure;
pub mod http;
pub mod key_file;
pub mod machine_key;
pub mod metrics;
pub mod next_step;
pub mod output;
pub mod picture;
pub mod port_holder;
pub mod process;
pub mod qr;
pub mod roles;
pub mod secret_file;
pub mod source;
pub mod stored;
pub mod telemetry;
pub mod up;
pub mod usage;

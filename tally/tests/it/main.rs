//! The real binary, started and stopped as people do it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail so")]

mod authorization;
mod bank;
mod collector;
mod doctor;
mod events;
mod faults;
mod http;
mod idempotency;
mod kill;
mod ledger;
mod manners;
mod manual;
mod namespaces;
mod network;
mod operators;
mod pages;
mod payment;
mod people;
mod planted_secrets;
mod provisioning;
mod refusals;
mod rejoin;
mod shell;
mod telemetry;
mod up;
mod upgrade;
mod validators;
mod visits;
mod world;

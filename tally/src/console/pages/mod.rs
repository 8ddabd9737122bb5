//! One file per page: what it shows as a plain value, and how that is set.

pub mod account;
pub mod block;
pub mod holder;
pub mod login;
pub mod missing;
pub mod network;
pub mod operator;
pub mod payment;
pub mod till;

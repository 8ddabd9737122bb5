//! One file per proof: its bytes, how it is made, how it is checked.

pub mod acknowledgement;
pub mod action;
pub mod finality;
pub mod genesis;
pub mod header;
pub mod merkle;
pub mod owners;
pub mod receipt;
pub mod result;
pub mod transaction;

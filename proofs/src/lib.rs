//! One file per proof: its bytes, how it is made, how it is checked.

pub mod account_link;
pub mod acknowledgement;
pub mod action;
pub mod authorization_code;
pub mod base45;
pub mod certificate_issue;
pub mod certificate_request;
pub mod cose;
pub mod credential;
pub mod cwt;
pub mod device_code;
pub mod finality;
pub mod foreign_cbor;
pub mod genesis;
pub mod header;
pub mod merkle;
pub mod owners;
pub mod payment_code;
pub mod receipt;
pub mod reserve_planner;
pub mod result;
pub mod revocation_list;
pub mod sealed;
pub mod transaction;
pub mod x509_certificate;
pub mod x509_chain;

//! The commands that are not roles: one file a command family.

pub mod doctor;
pub mod receipt;

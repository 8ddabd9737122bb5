//! The pages for people: from plain values to HTML, and the files that pages load.
//!
//! Invariants: nothing here does I/O; every text that comes from outside is escaped, because only
//! maud writes HTML; no page holds a script or a style of its own, so that the content security
//! policy can forbid both.

pub mod badge;
pub mod files;
pub mod form;
pub mod identifier;
pub mod layout;
pub mod moment;
pub mod money;
pub mod notice;
pub mod pages;
pub mod stick;
pub mod table;

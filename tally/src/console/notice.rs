//! Notices, and what stands where there is nothing yet.

use maud::{Markup, html};

use super::badge::{Block, Tone};

/// A paragraph that says what has happened; a bad one interrupts a screen reader.
pub fn notice(tone: Tone, text: &str) -> Markup {
    let role = if tone == Tone::Bad { "alert" } else { "status" };
    html! { p class=(tone.class(Block::Notice)) role=(role) { (text) } }
}

/// What stands in the place of an empty list: that it is empty, and what would fill it.
pub fn empty(text: &str) -> Markup {
    html! { p.empty { (text) } }
}

//! A badge: a state in one or two words, told by the word and never by the colour alone.

use maud::{Markup, html};

/// How a state is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Neither good nor bad.
    Plain,
    /// It ended well.
    Good,
    /// It ended badly.
    Bad,
    /// It has not ended.
    Wait,
}

impl Tone {
    /// The class of an element with this tone.
    pub const fn class(self, block: Block) -> &'static str {
        match (block, self) {
            (Block::Badge, Tone::Plain) => "badge",
            (Block::Badge, Tone::Good) => "badge badge-good",
            (Block::Badge, Tone::Bad) => "badge badge-bad",
            (Block::Badge, Tone::Wait) => "badge badge-wait",
            (Block::Notice, Tone::Plain) => "notice",
            (Block::Notice, Tone::Good) => "notice notice-good",
            (Block::Notice, Tone::Bad) => "notice notice-bad",
            (Block::Notice, Tone::Wait) => "notice notice-wait",
        }
    }
}

/// What has a tone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// A word.
    Badge,
    /// A paragraph.
    Notice,
}

/// A badge.
pub fn badge(tone: Tone, text: &str) -> Markup {
    html! { span class=(tone.class(Block::Badge)) { (text) } }
}

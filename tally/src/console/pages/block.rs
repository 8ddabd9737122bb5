//! The page of a block: its header, and what it orders.

use maud::{Markup, html};
use tallystick_kernel::{BlockId, TimeMs};

use super::network::{TransactionLine, transactions};
use crate::console::badge::{Tone, badge};
use crate::console::identifier::identifier;
use crate::console::layout;
use crate::console::moment::moment;

/// A final block.
#[derive(Clone, Debug)]
pub struct BlockView {
    /// Its id.
    pub id: BlockId,
    /// Its height.
    pub height: u64,
    /// The block before it.
    pub previous: BlockId,
    /// The proposer's clock.
    pub time: TimeMs,
    /// The proposer's place.
    pub proposer: u64,
    /// Up to which height it reports results.
    pub executed_height: u64,
    /// The root of these results, hexadecimal.
    pub results_root: String,
    /// The root of the state, hexadecimal.
    pub checkpoint_root: String,
    /// Who signed that it is final, by place; none when it became final with a later block.
    pub signers: Option<Vec<u64>>,
    /// What it orders.
    pub transactions: Vec<TransactionLine>,
    /// Whether there is a block after it.
    pub has_next: bool,
}

/// The page.
pub fn block(view: &BlockView) -> Markup {
    html! {
        (layout::head("Block", &view.height.to_string(), None))
        nav.row aria-label="Blocks beside this one" {
            @if view.height > 1 { a.button.button-plain.button-small href={ "/blocks/" (view.height - 1) } rel="prev" { "← " (view.height - 1) } }
            @if view.has_next { a.button.button-plain.button-small href={ "/blocks/" (view.height + 1) } rel="next" { (view.height + 1) " →" } }
        }
        section.section aria-labelledby="orders" {
            h2 #orders { "Transactions" }
            @if view.transactions.is_empty() {
                p.empty { "None: a block without transactions reports the results of those before it." }
            } @else {
                (transactions(&view.transactions))
            }
        }
        section.section aria-labelledby="header" {
            h2 #header { "Header" }
            dl.terms {
                div { dt { "Id" } dd { (identifier(&view.id.to_string(), "block")) } }
                div { dt { "Previous" } dd { (identifier(&view.previous.to_string(), "previous block")) } }
                div { dt { "Time" } dd { (moment(view.time)) } }
                div { dt { "Proposer" } dd { "validator " (view.proposer) } }
                div { dt { "Finality" } dd { (signed_by(view.signers.as_deref())) } }
                div { dt { "Reports up to" } dd { "height " (view.executed_height) } }
                div { dt { "Results root" } dd { code { (view.results_root) } } }
                div { dt { "State root" } dd { code { (view.checkpoint_root) } } }
            }
        }
    }
}

fn signed_by(signers: Option<&[u64]>) -> Markup {
    match signers {
        None => html! { (badge(Tone::Good, "final")) " with a block after it" },
        Some(signers) => {
            let places: Vec<String> = signers.iter().map(u64::to_string).collect();
            html! { (badge(Tone::Good, "final")) " signed by validators " (places.join(", ")) }
        }
    }
}

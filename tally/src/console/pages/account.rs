//! The page of an account: what it holds, as tally sticks, and whose it is.

use maud::{Markup, html};
use tallystick_kernel::AccountId;

use super::network::{TransactionLine, transactions};
use crate::console::identifier::identifier;
use crate::console::layout;
use crate::console::money::{Money, money_large};
use crate::console::notice::empty;
use crate::console::stick::{Kind, Segment, stick};

/// An account as the ledger has it.
#[derive(Clone, Debug)]
pub struct AccountView {
    /// The account.
    pub id: AccountId,
    /// How many of its keys must sign.
    pub threshold: u64,
    /// Its keys.
    pub keys: Vec<String>,
    /// What it holds, by currency.
    pub holdings: Vec<Holding>,
    /// Whether there are more reserves than are shown.
    pub has_more: bool,
    /// What happened to it in the latest blocks, the newest first.
    pub lately: Vec<TransactionLine>,
    /// In how many of them that was looked for.
    pub looked_through: usize,
}

/// What an account holds of one currency.
#[derive(Clone, Debug)]
pub struct Holding {
    /// All of it.
    pub total: Money,
    /// What is not reserved.
    pub free: Money,
    /// The reserves: how much, and whether it is locked to a mandate.
    pub reserves: Vec<(Money, bool)>,
}

/// The page.
pub fn account(view: &AccountView) -> Markup {
    html! {
        (layout::head("Account", &crate::console::identifier::short(&view.id.to_string()), None))
        div data-part="holdings" { (holdings(&view.holdings)) }
        @if view.has_more {
            p.quiet { "There are more reserves than are shown; " a href={ "/v1/accounts/" (view.id) "/reserves" } { "all of them as JSON" } "." }
        }
        section.section data-part="lately" aria-labelledby="lately" {
            div.section-head {
                h2 #lately { "Lately" }
                span.quiet { "in the latest " (view.looked_through) " blocks; older ones are not looked through" }
            }
            @if view.lately.is_empty() {
                (empty("Nothing. Older transactions are found by their id or their receipt."))
            } @else {
                (transactions(&view.lately))
            }
        }
        section.section aria-labelledby="owners" {
            h2 #owners { "Owners" }
            dl.terms {
                div { dt { "Account" } dd { (identifier(&view.id.to_string(), "account")) } }
                div { dt { "Must sign" } dd { (view.threshold) " of " (view.keys.len()) } }
                @for key in &view.keys {
                    div { dt { "Key" } dd { (identifier(key, "key")) } }
                }
            }
        }
    }
}

/// Sheets with one tally stick for each currency.
pub fn holdings(holdings: &[Holding]) -> Markup {
    if holdings.is_empty() {
        return empty(
            "Nothing here yet. What is paid to this account appears as a stick of free balance; reserves are notched off it.",
        );
    }
    html! {
        @for (index, holding) in holdings.iter().enumerate() {
            section.sheet aria-label={ "Holdings in " (holding.total.currency) } {
                div.row.row-spread {
                    (money_large(&holding.total))
                    span.quiet { (reserves(holding.reserves.len())) ", " (holding.free.digits()) " free" }
                }
                (stick(&format!("stick{index}"), &segments(holding)))
            }
        }
    }
}

/// How many reserves there are; a number alone would be taken for an amount.
fn reserves(count: usize) -> String {
    match count {
        0 => "nothing reserved".to_owned(),
        1 => "1 reserve".to_owned(),
        _ => format!("{count} reserves"),
    }
}

fn segments(holding: &Holding) -> Vec<Segment> {
    let kind = |is_locked: bool| if is_locked { Kind::Locked } else { Kind::Open };
    let mut segments: Vec<Segment> = holding
        .reserves
        .iter()
        .map(|(money, is_locked)| Segment { kind: kind(*is_locked), money: *money })
        .collect();
    if !holding.free.amount.is_zero() || segments.is_empty() {
        let free = Segment { kind: Kind::Free, money: holding.free };
        let place = segments.len().min(crate::console::stick::SEGMENTS_MAX - 1);
        segments.insert(place, free);
    }
    segments
}

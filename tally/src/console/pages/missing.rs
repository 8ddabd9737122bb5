//! The page of what is not there or was refused: the reason in words, and the way on.

use maud::{Markup, html};
use tallystick_kernel::Reason;

use crate::console::layout;

/// The page of a refusal; `way_out` says what to do now.
pub fn missing(reason: Reason, way_out: Option<&str>) -> Markup {
    html! {
        (layout::head("Not shown", &sentence(reason), way_out))
        p { a href="/" { "Back to the beginning" } }
        p.quiet.small { "Reason " code { (reason.code()) } }
    }
}

/// The reason's sentence with a capital letter.
pub fn sentence(reason: Reason) -> String {
    let text = reason.sentence();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    format!("{}{}", first.unwrap_or_default(), letters.as_str())
}

//! The pages on which one logs in: a holder with a password, an operator or a till with an API key.

use maud::{Markup, html};

use crate::console::badge::Tone;
use crate::console::form::{Field, field};
use crate::console::layout;
use crate::console::notice::notice;

/// Who logs in where.
#[derive(Clone, Copy, Debug)]
pub struct LoginView<'a> {
    /// What the page is the way to.
    pub kicker: &'a str,
    /// Its title.
    pub title: &'a str,
    /// What is behind it.
    pub lead: &'a str,
    /// Where the form goes.
    pub action: &'a str,
    /// Whether a name and a password are asked for, else an API key.
    pub by_password: bool,
    /// Why the last try was refused.
    pub refused: Option<&'a str>,
}

/// The page. Until someone is logged in there is no session whose token a form could carry. The name
/// that was tried is not shown again: it may be a password in the wrong field.
pub fn login(view: &LoginView<'_>) -> Markup {
    html! {
        (layout::head(view.kicker, view.title, Some(view.lead)))
        @if let Some(reason) = view.refused { (notice(Tone::Bad, reason)) }
        form.form method="post" action=(view.action) {
            @if view.by_password {
                (field(&Field { autocomplete: "username", is_first: true, ..Field::text("name", "Name") }))
                (field(&Field { kind: "password", autocomplete: "current-password", ..Field::text("password", "Password") }))
            } @else {
                (field(&Field {
                    kind: "password",
                    autocomplete: "current-password",
                    is_first: true,
                    hint: Some("The text of the key file that its owner was given."),
                    ..Field::text("key", "API key")
                }))
            }
            button type="submit" { "Log in" }
        }
    }
}

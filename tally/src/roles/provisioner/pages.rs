//! The page of a provisioner: what it is, and where people who came to it wanted to go.

use axum::response::Response;
use maud::html;
use tallystick_api::operation::{Access, Operation};

use super::App;
use crate::console::layout::{self, Page};
use crate::http::Routes;
use crate::roles::pages::{self, Frame};

const HOME: Operation =
    Operation::get("provisionerPage", "/", Access::Public, "What this role is.").page();

/// Adds the page to a provisioner.
pub(super) fn routes(routes: Routes<App>, frame: Frame) -> Routes<App> {
    pages::routes(routes).add(HOME, move || core::future::ready(home(&frame)))
}

fn home(frame: &Frame) -> Response {
    let lead = "Hands credentials to devices whose requests an issuer has approved. Wallets speak \
                with it; for people there is nothing to do here.";
    pages::shown(&Page {
        title: "Provisioner",
        place: frame.place,
        links: &frame.links,
        logged_in: None,
        modules: &[],
        live: None,
        is_narrow: true,
        content: html! {
            (layout::head("Provisioner", "For devices", Some(lead)))
            p { "A wallet asks for its credential with " code { "tally wallet provision" } "." }
            p { a href="/openapi.json" { "Its interface, as OpenAPI" } }
        },
    })
}

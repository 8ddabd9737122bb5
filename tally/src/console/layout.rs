//! The frame of every page: title, the way between the roles, skip link, theme switch, foot.

use maud::{DOCTYPE, Markup, html};
use serde::{Deserialize, Serialize};

use super::files;

/// Where the pages of the roles are; empty where a role has none that is known here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Links {
    /// A node.
    pub network: String,
    /// The issuer.
    pub issuer: String,
    /// The merchant.
    pub merchant: String,
}

/// The part of the console that a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The network and what is on its ledger.
    Network,
    /// The holder's page.
    Holder,
    /// The merchant's till.
    Till,
    /// The issuer's operator.
    Operator,
    /// The provisioner, which people seldom come to.
    Provisioner,
}

/// A page without its frame.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    /// Its title.
    pub title: &'a str,
    /// Where it belongs.
    pub place: Place,
    /// The way to the other roles.
    pub links: &'a Links,
    /// The form token of whoever is logged in, for the way out.
    pub logged_in: Option<&'a str>,
    /// Modules that it loads beside the one of every page.
    pub modules: &'a [&'a str],
    /// The address of the events at which its parts are fetched again.
    pub live: Option<&'a str>,
    /// Whether it is a single form.
    pub is_narrow: bool,
    /// What it holds.
    pub content: Markup,
}

/// The whole document.
pub fn document(page: &Page<'_>) -> Markup {
    let class = if page.is_narrow { "page page-narrow" } else { "page" };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (page.title) " · Tallystick" }
                link rel="icon" type="image/svg+xml" href=(files::address("mark.svg"));
                link rel="stylesheet" href=(files::address("style.css"));
                // Before the page is drawn, so that it comes in the right colours at once.
                script src=(files::address("theme.js")) {}
                script type="module" src=(files::address("page.js")) {}
                @for module in page.modules {
                    script type="module" src=(files::address(module)) {}
                }
            }
            body data-live=[page.live] {
                a.skip href="#content" { "Skip to the content" }
                (bar(page))
                main id="content" class=(class) tabindex="-1" { (page.content) }
                footer.foot {
                    p { "Tallystick: proofs of the right to pay. A receipt is true because it verifies, not because a page says so." }
                }
                p #said .visually-hidden role="status" {}
            }
        }
    }
}

fn bar(page: &Page<'_>) -> Markup {
    let links = page.links;
    let entries = [
        (Place::Network, "Network", &links.network, "/"),
        (Place::Holder, "Holder", &links.issuer, "/holder"),
        (Place::Till, "Till", &links.merchant, "/till"),
        (Place::Operator, "Operator", &links.issuer, "/operator"),
    ];
    html! {
        header.bar {
            div.bar-inside {
                a.brand href="/" { (mark()) span.brand-name { "Tallystick" } }
                nav aria-label="Parts of the console" {
                    ul {
                        @for (place, name, base, path) in entries {
                            @if place == page.place {
                                li { a href=(path) aria-current="page" { (name) } }
                            } @else if !base.is_empty() {
                                li { a href={ (base) (path) } { (name) } }
                            }
                        }
                    }
                }
                div.bar-end {
                    @if page.live.is_some() { span.live data-live-lamp { "connecting" } }
                    @if let Some(form_token) = page.logged_in {
                        form method="post" action=(logout(page.place)) {
                            (super::form::token(form_token))
                            button.button-plain.button-small type="submit" { "Log out" }
                        }
                    }
                    button.button-icon type="button" data-theme-switch hidden aria-label="Dark colours" {
                        svg viewBox="0 0 16 16" aria-hidden="true" {
                            circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.4" {}
                            path d="M8 2a6 6 0 0 1 0 12z" fill="currentColor" {}
                        }
                    }
                }
            }
        }
    }
}

/// Where the session of this part of the console is ended.
const fn logout(place: Place) -> &'static str {
    match place {
        Place::Operator => "/operator/logout",
        _ => "/logout",
    }
}

/// The head of a page: what kind of thing it is about, its name, and a sentence.
pub fn head(kicker: &str, title: &str, lead: Option<&str>) -> Markup {
    html! {
        header.page-head {
            p.kicker { (kicker) }
            h1 { (title) }
            @if let Some(lead) = lead { p.lead { (lead) } }
        }
    }
}

/// A small tally stick.
fn mark() -> Markup {
    html! {
        svg viewBox="0 0 52 20" aria-hidden="true" {
            rect.mark-wood x="0.5" y="3.5" width="51" height="13" rx="3" {}
            path.mark-notch d="M12 3.5l3 6 3-6M24 3.5l3 6 3-6M36 3.5l3 6 3-6" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(links: &Links) -> Page<'_> {
        Page {
            title: "A <title>",
            place: Place::Network,
            links,
            logged_in: None,
            modules: &["verify-receipt.js"],
            live: Some("/v1/events"),
            is_narrow: false,
            content: html! { h1 { "Network" } },
        }
    }

    #[test]
    fn a_page_holds_no_script_and_no_style_of_its_own() {
        let text = document(&page(&Links::default())).into_string();
        for script in text.split("<script").skip(1) {
            let (opening, rest) = script.split_once('>').unwrap();
            assert!(opening.contains("src=\"/console/") && rest.starts_with("</script>"));
        }
        assert!(!text.contains(" style=") && !text.contains("<style") && !text.contains(" on"));
        assert!(text.contains("<title>A &lt;title&gt; · Tallystick</title>"));
    }

    #[test]
    fn the_way_leads_to_the_roles_that_are_known_and_marks_where_one_is() {
        let links = Links { issuer: "http://issuer".to_owned(), ..Links::default() };
        let text = document(&page(&links)).into_string();
        assert!(text.contains("<a href=\"/\" aria-current=\"page\">Network</a>"));
        assert!(text.contains("<a href=\"http://issuer/operator\">Operator</a>"));
        assert!(!text.contains(">Till</a>"));
    }
}

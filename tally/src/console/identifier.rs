//! Ids and keys: shortened for the eye, whole for the clipboard and for screen readers' users.

use maud::{Markup, html};

/// The beginning and the end of an id, enough to tell two apart.
pub fn short(id: &str) -> String {
    let count = id.chars().count();
    if count <= HEAD + TAIL + 1 {
        return id.to_owned();
    }
    let head: String = id.chars().take(HEAD).collect();
    let tail: String = id.chars().skip(count - TAIL).collect();
    format!("{head}…{tail}")
}

/// An id with a button that copies it; `what` names it for screen readers, such as `account`.
pub fn identifier(id: &str, what: &str) -> Markup {
    html! {
        span.identifier { code title=(id) { (short(id)) } (copy(id, what)) }
    }
}

/// The same as a link to what has the id.
pub fn linked(id: &str, what: &str, address: &str) -> Markup {
    html! {
        span.identifier { a href=(address) title=(id) { (short(id)) } (copy(id, what)) }
    }
}

fn copy(id: &str, what: &str) -> Markup {
    html! {
        button.button-icon type="button" data-copy=(id) aria-label={ "Copy " (what) " " (short(id)) } {
            svg viewBox="0 0 16 16" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.4" {
                rect x="5.5" y="5.5" width="8" height="8" rx="1.5" {}
                path d="M10.5 5.5v-1.5a1.5 1.5 0 0 0-1.5-1.5h-5a1.5 1.5 0 0 0-1.5 1.5v5a1.5 1.5 0 0 0 1.5 1.5h1.5" {}
            }
        }
    }
}

const HEAD: usize = 10;
const TAIL: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_shortened_in_the_middle_and_copied_whole() {
        let id = "tlya1qqqqqqqqqqqqqqqqqqqqqqqqqqqxyz789";
        assert_eq!(short(id), "tlya1qqqqq…xyz789");
        assert_eq!(short("tlya1short"), "tlya1short");
        let shown = identifier(id, "account").into_string();
        assert!(shown.contains(&format!("data-copy=\"{id}\"")));
    }

    #[test]
    fn an_id_that_is_none_of_ours_cannot_leave_its_place() {
        let shown = linked("\"><script>x</script>", "id", "/a\" onclick=\"x").into_string();
        assert!(!shown.contains("<script>") && !shown.contains("\" onclick"), "{shown}");
    }
}

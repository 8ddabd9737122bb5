//! Fields of forms: a label, the field, a hint, and what was wrong with the last try.

use maud::{Markup, html};

/// A field of one line.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Its name in the form, and its id.
    pub name: &'a str,
    /// What people call it.
    pub label: &'a str,
    /// The type of the input.
    pub kind: &'a str,
    /// What stands in it.
    pub value: &'a str,
    /// What may help to fill it.
    pub hint: Option<&'a str>,
    /// What browsers may fill in (`autocomplete`).
    pub autocomplete: &'a str,
    /// Whether one begins to type here.
    pub is_first: bool,
}

impl<'a> Field<'a> {
    /// A field for text that must be filled.
    pub const fn text(name: &'a str, label: &'a str) -> Field<'a> {
        Field {
            name,
            label,
            kind: "text",
            value: "",
            hint: None,
            autocomplete: "off",
            is_first: false,
        }
    }
}

/// A field.
pub fn field(field: &Field<'_>) -> Markup {
    let hint_id = format!("{}-hint", field.name);
    let described = field.hint.map(|_| hint_id.as_str());
    html! {
        div.field {
            label for=(field.name) { (field.label) }
            input id=(field.name) name=(field.name) type=(field.kind) value=(field.value) required
                autofocus[field.is_first] autocomplete=(field.autocomplete) aria-describedby=[described];
            @if let Some(hint) = field.hint { p.hint id=(hint_id) { (hint) } }
        }
    }
}

/// What is wrong with a field, for its `aria-describedby`; it interrupts a screen reader.
pub fn error(name: &str, text: &str) -> Markup {
    html! { p.error id={ (name) "-error" } role="alert" { (text) } }
}

/// The form's token, by which a write proves that it comes from a page of ours.
pub fn token(form_token: &str) -> Markup {
    html! { input type="hidden" name="form_token" value=(form_token); }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_named_by_its_label_and_described_by_its_hint() {
        let hinted = Field { hint: Some("as printed"), ..Field::text("order", "Order") };
        let shown = field(&hinted).into_string();
        assert!(shown.contains("<label for=\"order\">Order</label>"));
        assert!(shown.contains("aria-describedby=\"order-hint\""));
        assert!(shown.contains("<p class=\"hint\" id=\"order-hint\">as printed</p>"));
    }

    #[test]
    fn what_was_typed_comes_back_escaped() {
        let typed = Field { value: "\"><img src=x>", ..Field::text("order", "Order") };
        assert!(!field(&typed).into_string().contains("<img"));
    }
}

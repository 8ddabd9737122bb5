//! Tables: on a phone each row becomes a card whose cells carry the names of their columns.

use maud::{Markup, html};

/// A cell.
#[derive(Clone, Debug)]
pub struct Cell {
    /// What stands in it.
    pub content: Markup,
    /// Whether it is a number, set to the right.
    pub is_number: bool,
}

/// A row with a key that is its own among the rows.
#[derive(Clone, Debug)]
pub struct Row {
    /// The key.
    pub key: String,
    /// One cell for each column.
    pub cells: Vec<Cell>,
}

impl Cell {
    /// A cell of text or marks.
    pub fn new(content: Markup) -> Cell {
        Cell { content, is_number: false }
    }

    /// A cell with a number.
    pub fn number(content: Markup) -> Cell {
        Cell { content, is_number: true }
    }
}

/// A part of a list, and the ways to its other parts.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// The entries of this part.
    pub entries: Vec<T>,
    /// The address of the part before it in time, if there is one.
    pub older: Option<String>,
    /// The address of the latest part, where this is another one.
    pub newest: Option<String>,
}

/// How the ways through a list are called that begins with the latest.
pub const OLDER: (&str, &str) = ("Older", "Newest");
/// The same for a list in another order.
pub const MORE: (&str, &str) = ("More", "First");

impl<T> Listed<T> {
    /// The ways to the other parts, below the table: what they are called onward and back.
    pub fn ways(&self, what: &str, (onward, back): (&str, &str)) -> Markup {
        let way = |address: &str, relation: &str, text: &str| {
            html! {
                a.button.button-plain.button-small href=(address) rel=(relation)
                    aria-label={ (text) " " (what) } { (text) }
            }
        };
        html! {
            @if self.older.is_some() || self.newest.is_some() {
                div.row {
                    @if let Some(address) = &self.newest { (way(address, "prev", back)) }
                    @if let Some(address) = &self.older { (way(address, "next", onward)) }
                }
            }
        }
    }
}

/// A table named by `caption`, which only screen readers are told.
pub fn table(caption: &str, columns: &[&str], rows: &[Row]) -> Markup {
    framed("cards", caption, columns, rows)
}

/// The same for few and short columns, which fit on a phone as they are.
pub fn table_small(caption: &str, columns: &[&str], rows: &[Row]) -> Markup {
    framed("small", caption, columns, rows)
}

fn framed(class: &str, caption: &str, columns: &[&str], rows: &[Row]) -> Markup {
    let is_number = |place: usize| {
        rows.first().and_then(|row| row.cells.get(place)).is_some_and(|cell| cell.is_number)
    };
    let set = |is_number: bool| is_number.then_some("number");
    html! {
        table class=(class) {
            caption.visually-hidden { (caption) }
            thead {
                tr {
                    @for (place, column) in columns.iter().enumerate() {
                        th scope="col" class=[set(is_number(place))] { (column) }
                    }
                }
            }
            tbody {
                @for row in rows {
                    tr data-key=(row.key) {
                        @for (cell, column) in row.cells.iter().zip(columns) {
                            td data-label=(column) class=[set(cell.is_number)] { (cell.content) }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_leads_to_its_older_part_only_where_there_is_one() {
        let of = |older: Option<&str>, newest: Option<&str>| {
            let (older, newest) = (older.map(str::to_owned), newest.map(str::to_owned));
            Listed::<u8> { entries: Vec::new(), older, newest }.ways("charges", OLDER).into_string()
        };
        assert_eq!(of(None, None), "");
        let first = of(Some("/till?before=x"), None);
        assert!(first.contains("href=\"/till?before=x\" rel=\"next\""), "{first}");
        assert!(first.contains("aria-label=\"Older charges\"") && !first.contains("Newest"));
        assert!(of(None, Some("/till")).contains("Newest"));
    }

    #[test]
    fn each_cell_carries_the_name_of_its_column_and_numbers_stand_to_the_right() {
        let cells = vec![Cell::new(html! { "<b>" }), Cell::number(html! { "12" })];
        let rows = [Row { key: "a\"b".to_owned(), cells }];
        let shown = table("Blocks", &["Proposer", "Height"], &rows).into_string();
        assert!(shown.contains("<th scope=\"col\" class=\"number\">Height</th>"));
        assert!(shown.contains("<td data-label=\"Proposer\">&lt;b&gt;</td>"));
        assert!(shown.contains("<td data-label=\"Height\" class=\"number\">12</td>"));
        assert!(shown.contains("data-key=\"a&quot;b\""));
    }
}

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

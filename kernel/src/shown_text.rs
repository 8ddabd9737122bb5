//! Text that is shown to people: names of holders and devices.
//!
//! What is not seen can make two names look alike, turn the line around it, or steer a terminal.

/// Whether every letter is one that is seen, or a plain space between two that are: no control
/// characters (Unicode category Cc), none that only format (Cf: joiners, direction marks, tags), and
/// no separators of lines (Zl, Zp).
///
/// ```
/// assert!(tallystick_kernel::shown_text::is_shown("Ada's phone"));
/// assert!(!tallystick_kernel::shown_text::is_shown("ada\u{200b}"));
/// ```
pub fn is_shown(text: &str) -> bool {
    text.trim() == text && text.chars().all(|letter| !letter.is_control() && !is_format(letter))
}

/// Category Cf of Unicode 16, with the two separators of lines.
fn is_format(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}'
            | '\u{e0020}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_every_script_are_shown_and_what_is_not_seen_is_refused() {
        for text in ["ada", "Ada's phone", "Æthelflæd", "李", "café", "👛", ""] {
            assert!(is_shown(text), "{text}");
        }
        for text in ["a\u{1b}[31m", "a\n", "\u{202e}ada", "a\u{200b}da", "a\u{2028}", " a", "a "] {
            assert!(!is_shown(text), "{text:?}");
        }
    }
}

//! A point in time: UTC in the document, which a script shows by the reader's own clock.

use maud::{Markup, html};
use tallystick_kernel::TimeMs;

use crate::clock_text;

/// A time to the second.
pub fn moment(time: TimeMs) -> Markup {
    let exact = clock_text::utc(time.0);
    let plain = exact.replace('T', " ").replace('Z', " UTC");
    html! { time datetime=(exact) { (plain) } }
}

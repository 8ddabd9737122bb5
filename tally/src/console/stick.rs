//! The tally stick: what an account holds of one currency, drawn as a notched stick.
//!
//! A segment is as long as its share, down to a length that can still be seen; between two reserves
//! there is a notch. The picture has a name for screen readers, and the list below it says the same
//! in words.

use maud::{Markup, html};

use super::money::{Money, money};

/// What a segment stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A reserve that is locked to a mandate.
    Locked,
    /// A reserve that its owner may spend.
    Open,
    /// The free balance.
    Free,
}

/// One segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// What it stands for.
    pub kind: Kind,
    /// How much it is.
    pub money: Money,
}

/// Segments that are drawn; what is beyond is told in words.
pub const SEGMENTS_MAX: usize = 24;

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Kind::Locked => "locked reserve",
            Kind::Open => "open reserve",
            Kind::Free => "free balance",
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Kind::Locked => "stick-locked",
            Kind::Open => "stick-open",
            Kind::Free => "stick-free",
        }
    }
}

/// The stick with its list. `name` is unique on the page and made of letters and digits.
pub fn stick(name: &str, segments: &[Segment]) -> Markup {
    let drawn = &segments[..segments.len().min(SEGMENTS_MAX)];
    let places = places(drawn);
    let (title, clip) = (format!("{name}-title"), format!("{name}-clip"));
    html! {
        div.stick {
            svg.stick-wood role="img" aria-labelledby=(title) {
                title id=(title) { (spoken(segments)) }
                defs {
                    clipPath id=(clip) { rect x="0" y="14" width="100%" height="58" rx="9" {} }
                }
                g clip-path={ "url(#" (clip) ")" } {
                    @for (segment, place) in drawn.iter().zip(&places) {
                        rect class=(segment.kind.class()) x=(percent(place.start)) y="14"
                            width=(percent(place.length)) height="58" {}
                    }
                    (grain())
                }
                rect.stick-edge x="0" y="14" width="100%" height="58" rx="9" {}
                @for place in places.iter().skip(1) { (notch(place.start)) }
                @for (segment, place) in drawn.iter().zip(&places) { (label(segment, place)) }
            }
            ul.stick-parts {
                @for segment in drawn { (part(segment)) }
                @if segments.len() > drawn.len() {
                    li { span.stick-kind { "and " (segments.len() - drawn.len()) " more" } }
                }
            }
        }
    }
}

/// Where a segment lies, in hundredths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    start: u64,
    length: u64,
}

/// Shares of the whole length; each has [`LENGTH_MIN`] before the rest is divided by amount.
fn places(segments: &[Segment]) -> Vec<Place> {
    let count = segments.len() as u64;
    let total: u128 = segments.iter().map(|segment| u128::from(segment.money.amount.minor())).sum();
    let weight = |segment: &Segment| match total {
        0 => 1,
        _ => u128::from(segment.money.amount.minor()),
    };
    let total = if total == 0 { u128::from(count) } else { total };
    let divided = WHOLE - (count * LENGTH_MIN).min(WHOLE);
    let mut start = 0;
    let mut passed: u128 = 0;
    let place = |(index, segment): (usize, &Segment)| {
        passed += weight(segment);
        let share = (u128::from(divided) * passed).checked_div(total).unwrap_or(0);
        let end = (index as u64 + 1) * LENGTH_MIN + u64::try_from(share).unwrap_or(divided);
        let place = Place { start, length: end - start };
        start = end;
        place
    };
    segments.iter().enumerate().map(place).collect()
}

fn percent(hundredths: u64) -> String {
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

fn notch(at: u64) -> Markup {
    html! {
        svg x=(percent(at)) y="0" overflow="visible" {
            path.stick-notch d="M-6.500 13 L-1 34 Q0 36 1 34 L6.500 13" {}
        }
    }
}

fn grain() -> Markup {
    html! {
        svg x="0" y="14" width="100%" height="58" viewBox="0 0 1000 58" preserveAspectRatio="none" {
            @for line in GRAIN { path.stick-grain d=(line) {} }
        }
        rect.stick-end x="0" y="14" width="7" height="58" {}
    }
}

fn label(segment: &Segment, place: &Place) -> Markup {
    let letters = segment.money.digits().chars().count() as u64;
    if place.length < letters * LETTER_DESK {
        return html! {};
    }
    let tight = if place.length < letters * LETTER_PHONE { " stick-text-tight" } else { "" };
    let free = if segment.kind == Kind::Free { " stick-text-free" } else { "" };
    html! {
        text class={ "stick-text" (tight) (free) } x=(percent(place.start + place.length / 2)) y="55"
            aria-hidden="true" { (segment.money.digits()) }
    }
}

fn part(segment: &Segment) -> Markup {
    html! {
        li {
            span.stick-kind {
                svg.stick-key aria-hidden="true" {
                    rect class=(segment.kind.class()) width="100%" height="100%" rx="2" {}
                }
                (segment.kind.name())
            }
            (money(&segment.money))
        }
    }
}

fn spoken(segments: &[Segment]) -> String {
    let reserves = segments.iter().filter(|segment| segment.kind != Kind::Free).count();
    let free = segments.iter().find(|segment| segment.kind == Kind::Free);
    let free = free.map_or(String::new(), |free| format!(", {} free", free.money.text()));
    let plural = if reserves == 1 { "reserve" } else { "reserves" };
    format!("A tally stick with {reserves} {plural}{free}")
}

const WHOLE: u64 = 10_000;
const LENGTH_MIN: u64 = 120;
/// What one letter of a label takes of the stick, on a phone and on a desk.
const LETTER_PHONE: u64 = 300;
const LETTER_DESK: u64 = 160;
const GRAIN: [&str; 5] = [
    "M0 8 Q160 3 320 9 T640 7 T1000 10",
    "M0 20 Q220 27 420 19 T760 22 T1000 18",
    "M0 31 Q120 26 300 32 T700 29 T1000 33",
    "M0 43 Q260 49 460 42 T820 45 T1000 41",
    "M0 52 Q180 48 380 53 T720 50 T1000 54",
];

#[cfg(test)]
mod tests {
    use tallystick_kernel::{Amount, CurrencyCode};

    use super::*;

    fn segments(parts: &[(Kind, u64)]) -> Vec<Segment> {
        let currency = CurrencyCode::new("TLY").unwrap();
        let segment = |(kind, minor): &(Kind, u64)| {
            let money = Money { amount: Amount::new(*minor).unwrap(), currency, exponent: 2 };
            Segment { kind: *kind, money }
        };
        parts.iter().map(segment).collect()
    }

    #[test]
    fn segments_fill_the_stick_and_none_is_too_short_to_be_seen() {
        let greatest = Amount::MAX.minor();
        for parts in [
            vec![(Kind::Free, 0)],
            vec![(Kind::Locked, 1), (Kind::Free, greatest)],
            vec![(Kind::Locked, greatest), (Kind::Open, greatest), (Kind::Free, greatest)],
            vec![(Kind::Locked, 5); SEGMENTS_MAX],
        ] {
            let places = places(&segments(&parts));
            let length: u64 = places.iter().map(|place| place.length).sum();
            assert_eq!(length, WHOLE, "{parts:?}");
            assert!(places.iter().all(|place| place.length >= LENGTH_MIN), "{parts:?}");
        }
    }

    #[test]
    fn a_label_stands_only_where_it_has_room() {
        let labels = |parts: &[(Kind, u64)]| {
            stick("held", &segments(parts)).into_string().matches("class=\"stick-text").count()
        };
        assert_eq!(labels(&[(Kind::Locked, 5000), (Kind::Free, 5000)]), 2);
        assert_eq!(labels(&[(Kind::Locked, 1), (Kind::Free, 5000)]), 1);
        let greatest = Amount::MAX.minor();
        assert_eq!(labels(&[(Kind::Free, greatest); 3]), 0);
        let halves = stick("held", &segments(&[(Kind::Free, greatest); 2])).into_string();
        assert_eq!(halves.matches("stick-text-tight").count(), 2, "a phone has no room for them");
    }

    #[test]
    fn what_is_drawn_is_also_said() {
        let parts = [(Kind::Locked, 2000), (Kind::Open, 500), (Kind::Free, 6500)];
        let shown = stick("held", &segments(&parts)).into_string();
        assert!(shown.contains("A tally stick with 2 reserves, 65.00 TLY free</title>"));
        assert_eq!(shown.matches("stick-notch").count(), 2);
        assert_eq!(shown.matches("locked reserve").count(), 1);
        assert!(!shown.contains("style="));
    }

    #[test]
    fn reserves_that_are_not_drawn_are_counted() {
        let shown = stick("held", &segments(&[(Kind::Locked, 5); SEGMENTS_MAX + 7])).into_string();
        assert!(shown.contains("and 7 more"));
    }
}

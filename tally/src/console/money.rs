//! Money as people read it: major units, grouped by threes, with the currency beside it.

use maud::{Markup, html};
use tallystick_kernel::{Amount, CurrencyCode};

/// An amount with all that showing it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    /// The amount.
    pub amount: Amount,
    /// Its currency.
    pub currency: CurrencyCode,
    /// How many decimals a major unit has.
    pub exponent: u8,
}

impl Money {
    /// The digits with narrow spaces between groups of three, such as `12 345.60`.
    pub fn digits(&self) -> String {
        let plain = self.amount.display(self.exponent);
        let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
        let mut text = String::with_capacity(plain.len() + 8);
        for (place, digit) in whole.chars().enumerate() {
            if place > 0 && (whole.len() - place).is_multiple_of(3) {
                text.push(NARROW_SPACE);
            }
            text.push(digit);
        }
        if !fraction.is_empty() {
            text.push('.');
            text.push_str(fraction);
        }
        text
    }

    /// The digits and the currency, for where there is no room for marks.
    pub fn text(&self) -> String {
        format!("{} {}", self.digits(), self.currency)
    }
}

/// Money in a line of text.
pub fn money(money: &Money) -> Markup {
    shown(money, "money")
}

/// Money that a page is about.
pub fn money_large(money: &Money) -> Markup {
    shown(money, "money money-large")
}

/// The digits, which may go on in the next line between two groups when there are many.
pub fn digits(money: &Money) -> Markup {
    let text = money.digits();
    let may_break = is_long(&text);
    html! {
        @for (place, group) in text.split(NARROW_SPACE).enumerate() {
            @if place > 0 { (NARROW_SPACE) @if may_break { wbr; } }
            (group)
        }
    }
}

/// Whether digits are so many that they need smaller letters where a page is about them.
pub fn is_long(digits: &str) -> bool {
    digits.chars().count() > DIGITS_SHORT
}

fn shown(money: &Money, class: &str) -> Markup {
    let value = money.amount.display(money.exponent);
    let long = if is_long(&money.digits()) { " money-long" } else { "" };
    html! {
        data class={ (class) (long) } value=(value) {
            (digits(money)) span.money-currency { (money.currency) }
        }
    }
}

/// More than a million with its cents.
const DIGITS_SHORT: usize = 12;

const NARROW_SPACE: char = '\u{202f}';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_large_amounts_may_go_on_in_the_next_line() {
        let currency = CurrencyCode::new("TLY").unwrap();
        let shown = |minor| {
            let amount = Amount::new(minor).unwrap();
            super::money(&Money { amount, currency, exponent: 2 }).into_string()
        };
        assert!(!shown(123_456_789).contains("<wbr>"), "{}", shown(123_456_789));
        let greatest = shown(Amount::MAX.minor());
        assert_eq!(greatest.matches("<wbr>").count(), 5, "{greatest}");
        assert!(greatest.contains("money-long"));
    }

    #[test]
    fn digits_are_grouped_and_decimals_are_not() {
        let shown = |minor, exponent| {
            let currency = CurrencyCode::new("TLY").unwrap();
            Money { amount: Amount::new(minor).unwrap(), currency, exponent }.digits()
        };
        let space = NARROW_SPACE;
        assert_eq!(shown(5, 2), "0.05");
        assert_eq!(shown(99_900, 2), "999.00");
        assert_eq!(shown(100_000, 2), format!("1{space}000.00"));
        assert_eq!(shown(1_234_567, 0), format!("1{space}234{space}567"));
        assert_eq!(shown(123_456_789, 8), "1.23456789");
    }
}

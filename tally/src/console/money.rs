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

fn shown(money: &Money, class: &str) -> Markup {
    let value = money.amount.display(money.exponent);
    html! {
        data class=(class) value=(value) {
            (money.digits()) span.money-currency { (money.currency) }
        }
    }
}

const NARROW_SPACE: char = '\u{202f}';

#[cfg(test)]
mod tests {
    use super::*;

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

//! Amounts as commands read and show them, the same everywhere.

use serde::Serialize;
use tallystick_kernel::{Amount, CurrencyCode, Reason};

use crate::failure::Failure;

/// An amount in the output: three fields that always come together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AmountShown {
    /// Minor units.
    pub amount: String,
    /// The currency.
    pub currency: String,
    /// Major units with the currency, for people.
    pub shown: String,
}

impl AmountShown {
    /// An amount of a currency with so many decimals.
    pub fn new(amount: Amount, currency: CurrencyCode, exponent: u8) -> AmountShown {
        AmountShown {
            amount: amount.to_string(),
            currency: currency.to_string(),
            shown: format!("{} {currency}", amount.display(exponent)),
        }
    }
}

/// Reads an amount that was typed, such as `12.30`; what cannot be one is wrong usage.
pub fn typed(text: &str, exponent: u8) -> Result<Amount, Failure> {
    Amount::parse(text, exponent).map_err(|reason| {
        let way = match exponent {
            _ if reason == Reason::AmountOverflow => {
                format!("name at most {}", Amount::MAX.display(exponent))
            }
            0 => "write whole units without a sign, such as 12".to_owned(),
            _ => format!("write at most {exponent} decimals and no sign, such as 12.30"),
        };
        Failure::new(reason).cause(format!("the amount {text}")).next_step(way).usage()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn a_typed_amount_that_is_none_is_wrong_usage_and_is_told_how() {
        assert_eq!(typed("12.30", 2).unwrap(), Amount::new(1230).unwrap());
        for text in ["-5", "1.234", "ten"] {
            let failure = typed(text, 2).unwrap_err();
            assert_eq!((failure.reason, failure.exit()), (Reason::AmountMalformed, Exit::Usage));
            assert!(failure.causes[0].contains(text) && failure.way_out().contains("12.30"));
        }
        let large = typed("123456789012345678901234", 2).unwrap_err();
        assert!(large.way_out().contains("92233720368547758.07"), "{large}");
        assert!(typed("1.5", 0).unwrap_err().way_out().contains("whole"));
    }

    #[test]
    fn an_amount_is_shown_in_minor_units_with_its_currency_and_for_people() {
        let euro = CurrencyCode::new("EUR").unwrap();
        let shown = AmountShown::new(Amount::new(1230).unwrap(), euro, 2);
        let json = serde_json::to_string(&shown).unwrap();
        assert_eq!(json, r#"{"amount":"1230","currency":"EUR","shown":"12.30 EUR"}"#);
    }
}

//! How the vocabulary of `kernel` is written in JSON.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tallystick_kernel::Reason;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::text_schema;

/// Bytes that travel in JSON as base64url without padding (RFC 4648 section 5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

/// One page of a list, and where the next one begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items of this page, at most as many as the endpoint's limit.
    pub items: Vec<T>,
    /// Opaque: pass it back as `cursor`. Always there: `null` says that this was the last page, and
    /// a page without items may still have a next one.
    pub next: Option<String>,
}

/// Why a body could not be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyFault {
    /// The path of the field at fault, such as `lines[0].amount`; none for broken JSON.
    pub field: Option<String>,
    /// What the reader says about it.
    pub cause: String,
}

impl Bytes {
    /// The text form.
    pub fn encode(bytes: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads the text form; [`Reason::Base64Malformed`] for anything but the canonical one.
    pub fn decode(text: &str) -> Result<Bytes, Reason> {
        URL_SAFE_NO_PAD.decode(text).map(Bytes).map_err(|_| Reason::Base64Malformed)
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        Bytes(bytes)
    }
}

impl<T: ToSchema> PartialSchema for Page<T> {
    fn schema() -> RefOr<Schema> {
        let next = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .description(Some("Pass it back as `cursor`; `null` on the last page."));
        ObjectBuilder::new()
            .description(Some("One page of a list, and where the next one begins."))
            .property("items", ArrayBuilder::new().items(Ref::from_schema_name(T::name())))
            .required("items")
            .property("next", next)
            .required("next")
            .into()
    }
}

impl<T: ToSchema> ToSchema for Page<T> {
    fn name() -> Cow<'static, str> {
        Cow::Owned(format!("{}Page", T::name()))
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

impl PartialSchema for Bytes {
    fn schema() -> RefOr<Schema> {
        text_schema::BytesText::schema()
    }
}

impl ToSchema for Bytes {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Bytes")
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Bytes::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Bytes::decode(&text).map_err(|_| D::Error::custom(Reason::Base64Malformed.sentence()))
    }
}

/// Reads a JSON body of any size that the caller has already bounded.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BodyFault> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let is_data = error.inner().is_data();
        let field = (is_data && path != ".").then_some(path);
        let field = field.filter(|path| is_name(path));
        let said = without_values(&error.into_inner().to_string());
        // Lines and columns are of use where the JSON is broken, and nowhere else.
        let cause = if is_data { without_place(&said).to_owned() } else { said };
        BodyFault { field, cause }
    })?;
    json.end().map_err(|error| BodyFault { field: None, cause: error.to_string() })?;
    Ok(value)
}

/// What serde says of a body, without the values that it quotes: what was sent by mistake may be a
/// secret, and what is said goes to logs.
fn without_values(said: &str) -> String {
    if let Some(rest) = said.strip_prefix("unknown field `") {
        let (field, rest) = rest.split_once('`').unwrap_or_default();
        return match is_name(field) {
            true => format!("unknown field `{field}`{rest}"),
            false => format!("an unknown field{rest}"),
        };
    }
    const QUOTING: [&str; 3] = ["invalid type: ", "invalid value: ", "unknown variant "];
    if QUOTING.iter().any(|start| said.starts_with(start)) {
        // A value could hold anything, this too: what is expected comes last.
        return match said.rsplit_once(", expected ") {
            Some((_, expected)) => format!("expected {expected}"),
            None => "a value that cannot stand here".to_owned(),
        };
    }
    said.to_owned()
}

/// What serde says, without where it says it is.
fn without_place(said: &str) -> &str {
    said.rsplit_once(" at line ").map_or(said, |(said, _)| said)
}

/// Whether a path could be one of ours: words, dots and places in lists.
fn is_name(path: &str) -> bool {
    const PLACE_DIGITS_MAX: usize = 5;
    let digits = path.chars().filter(char::is_ascii_digit).count();
    let is_usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '[' | ']');
    digits <= PLACE_DIGITS_MAX && path.len() <= 128 && path.chars().all(is_usual)
}

/// Writes a value; our own types always can be.
pub fn write<T: Serialize>(value: &T) -> Vec<u8> {
    match serde_json::to_vec(value) {
        Ok(bytes) => bytes,
        Err(error) => unreachable!("the types of this crate have text keys only: {error}"),
    }
}

/// Any type with a text form, as that text: `#[serde(with = "json::text")]`.
pub mod text {
    use core::fmt::Display;
    use core::str::FromStr;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};
    use tallystick_kernel::Reason;

    /// Writes the text form.
    pub fn serialize<T: Display, S: Serializer>(value: &T, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(value)
    }

    /// Reads the text form.
    pub fn deserialize<'de, T, D>(input: D) -> Result<T, D::Error>
    where
        T: FromStr<Err = Reason>,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(input)?;
        text.parse().map_err(|reason: Reason| D::Error::custom(reason.sentence()))
    }
}

/// As [`text`], for a value that may be missing; use with `#[serde(default)]`.
pub mod text_option {
    use core::fmt::Display;
    use core::str::FromStr;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};
    use tallystick_kernel::Reason;

    /// Writes the text form or `null`.
    pub fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => out.collect_str(value),
            None => out.serialize_none(),
        }
    }

    /// Reads the text form or `null`.
    pub fn deserialize<'de, T, D>(input: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err = Reason>,
        D: Deserializer<'de>,
    {
        let text: Option<String> = Option::deserialize(input)?;
        text.map(|text| text.parse())
            .transpose()
            .map_err(|reason: Reason| D::Error::custom(reason.sentence()))
    }
}

/// As [`text`], for a list.
pub mod text_list {
    use core::fmt::Display;
    use core::str::FromStr;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};
    use tallystick_kernel::Reason;

    /// Writes the text forms.
    pub fn serialize<T: Display, S: Serializer>(values: &[T], out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(values.iter().map(ToString::to_string))
    }

    /// Reads the text forms.
    pub fn deserialize<'de, T, D>(input: D) -> Result<Vec<T>, D::Error>
    where
        T: FromStr<Err = Reason>,
        D: Deserializer<'de>,
    {
        let texts: Vec<String> = Vec::deserialize(input)?;
        let values = texts.iter().map(|text| text.parse());
        values.collect::<Result<_, Reason>>().map_err(|reason| D::Error::custom(reason.sentence()))
    }
}

/// An amount as a decimal string of minor units.
pub mod amount {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};
    use tallystick_kernel::Amount;

    /// Writes minor units.
    pub fn serialize<S: Serializer>(value: &Amount, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(value)
    }

    /// Reads minor units.
    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Amount, D::Error> {
        let text = String::deserialize(input)?;
        Amount::parse(&text, 0).map_err(|reason| D::Error::custom(reason.sentence()))
    }
}

/// As [`amount`], for an amount that may be missing; use with `#[serde(default)]`.
pub mod amount_option {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};
    use tallystick_kernel::Amount;

    /// Writes minor units or `null`.
    pub fn serialize<S: Serializer>(value: &Option<Amount>, out: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => out.collect_str(value),
            None => out.serialize_none(),
        }
    }

    /// Reads minor units or `null`.
    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Amount>, D::Error> {
        let text: Option<String> = Option::deserialize(input)?;
        text.map(|text| Amount::parse(&text, 0))
            .transpose()
            .map_err(|reason| D::Error::custom(reason.sentence()))
    }
}

#[cfg(test)]
mod tests {
    use tallystick_kernel::{AccountId, Amount};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[serde(with = "text")]
        account: AccountId,
        #[serde(with = "amount")]
        amount: Amount,
        #[serde(with = "text_option", default)]
        other: Option<AccountId>,
        raw: Bytes,
    }

    fn sample() -> Sample {
        Sample {
            account: AccountId([1; 32]),
            amount: Amount::MAX,
            other: None,
            raw: Bytes(vec![0xfb, 0xff]),
        }
    }

    #[test]
    fn the_greatest_amount_and_any_bytes_are_read_back_exactly() {
        let bytes = write(&sample());
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.contains("\"9223372036854775807\"") && text.contains("\"-_8\""), "{text}");
        assert_eq!(read::<Sample>(&bytes), Ok(sample()));
    }

    #[test]
    fn the_field_at_fault_is_named() {
        let text = String::from_utf8(write(&sample())).unwrap();
        let fault = |from: &str, to: &str| {
            read::<Sample>(text.replace(from, to).as_bytes()).unwrap_err().field
        };
        assert_eq!(fault("\"9223372036854775807\"", "\"-1\"").as_deref(), Some("amount"));
        assert_eq!(fault("-_8", "+/8").as_deref(), Some("raw"));
        assert_eq!(fault("tlya", "tlyr").as_deref(), Some("account"));
        assert_eq!(fault("\"raw\"", "\"row\"").as_deref(), Some("row"));
        assert_eq!(fault("}", "}}"), None);
    }
}

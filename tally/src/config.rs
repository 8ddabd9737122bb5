//! A role's configuration: a TOML file, then the environment, then flags; the last one wins.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use tallystick_kernel::Reason;
use toml::{Table, Value};

use crate::failure::Failure;

/// A configuration that can be loaded. Fields are documented on the type, once.
pub trait Config: DeserializeOwned {
    /// The keys that `TALLY_<KEY>` may set: those with a plain value.
    const ENVIRONMENT_KEYS: &'static [&'static str];
}

/// Reads `file`, lays the environment and then `flags` over it.
///
/// Fails with [`Reason::FileUnreadable`], or [`Reason::FieldInvalid`] saying which key is wrong,
/// missing or unknown.
pub fn load<C: Config>(file: &Path, flags: &[(&str, Option<String>)]) -> Result<C, Failure> {
    let environment = |key: &str| std::env::var(format!("TALLY_{}", key.to_uppercase())).ok();
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::file(file, &error).next_step("name the configuration with --config FILE")
    })?;
    read(&text, environment, flags)
        .map_err(|failure| failure.cause(format!("in {}", file.display())))
}

/// A path of a configuration, taken from the folder that the file lies in.
pub fn relative_to(file: &Path, path: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new(".")).join(path)
}

fn read<C: Config>(
    text: &str,
    environment: impl Fn(&str) -> Option<String>,
    flags: &[(&str, Option<String>)],
) -> Result<C, Failure> {
    let invalid = |error: toml::de::Error| {
        Failure::new(Reason::FieldInvalid).cause(error.to_string().trim_end().to_owned())
    };
    let mut table: Table = text.parse().map_err(invalid)?;
    for key in C::ENVIRONMENT_KEYS {
        if let Some(value) = environment(key) {
            table.insert((*key).to_owned(), plain_value(&value));
        }
    }
    for (key, value) in flags {
        if let Some(value) = value {
            table.insert((*key).to_owned(), plain_value(value));
        }
    }
    table.try_into().map_err(invalid)
}

/// A number or a truth value where the text is one, else a string.
fn plain_value(text: &str) -> Value {
    if let Ok(number) = text.parse::<i64>() {
        return Value::Integer(number);
    }
    match text {
        "true" => Value::Boolean(true),
        "false" => Value::Boolean(false),
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        listen: String,
        workers: u32,
    }

    impl Config for Sample {
        const ENVIRONMENT_KEYS: &'static [&'static str] = &["listen", "workers"];
    }

    const FILE: &str = "listen = 'file'\nworkers = 1\n";

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_file() {
        let environment = |key: &str| (key == "listen").then(|| "environment".to_owned());
        let read = |flag: Option<&str>| {
            read::<Sample>(FILE, environment, &[("listen", flag.map(str::to_owned))]).unwrap()
        };
        assert_eq!(read(None), Sample { listen: "environment".to_owned(), workers: 1 });
        assert_eq!(read(Some("flag")), Sample { listen: "flag".to_owned(), workers: 1 });
    }

    #[test]
    fn an_unknown_or_missing_key_is_named() {
        let nothing = |_: &str| None;
        let unknown = read::<Sample>(&format!("{FILE}lisen = 1\n"), nothing, &[]).unwrap_err();
        assert_eq!(unknown.reason, Reason::FieldInvalid);
        assert!(unknown.causes[0].contains("lisen"), "{:?}", unknown.causes);
        let missing = read::<Sample>("workers = 1", nothing, &[]).unwrap_err();
        assert!(missing.causes[0].contains("listen"), "{:?}", missing.causes);
    }
}

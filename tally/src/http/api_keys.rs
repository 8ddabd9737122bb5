//! API keys for operators and tills: random, scoped, kept only as a digest.

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use tallystick_api::Bytes;
use tallystick_kernel::hash::sha256;
use tallystick_kernel::{Digest, Reason, hex};
use zeroize::Zeroizing;

use crate::source;

/// One key as a role's configuration holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyEntry {
    /// A name for the log.
    pub name: String,
    /// What the key may do.
    pub scopes: Vec<String>,
    /// SHA-256 of the key, hexadecimal. A key has 256 random bits, so a plain digest hides it.
    pub digest: String,
}

/// The keys that a role accepts.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys(Vec<(Digest, ApiKeyEntry)>);

/// Makes a new key; show it once, keep only [`digest`].
pub fn generate() -> Result<Zeroizing<String>, Reason> {
    let bytes = Zeroizing::new(source::random::<32>()?);
    Ok(Zeroizing::new(format!("{PREFIX}{}", Bytes::encode(bytes.as_slice()))))
}

/// The digest under which a key is kept, hexadecimal.
pub fn digest(key: &str) -> String {
    hex::encode(&sha256(key.as_bytes()))
}

impl ApiKeyEntry {
    fn may(&self, scope: &str) -> bool {
        self.scopes.iter().any(|held| held == scope)
    }
}

impl ApiKeys {
    /// The keys of a configuration; [`Reason::HexMalformed`] for a digest that is none.
    pub fn new(entries: Vec<ApiKeyEntry>) -> Result<ApiKeys, Reason> {
        let keys = entries.into_iter().map(|entry| {
            let digest: Digest =
                hex::decode(&entry.digest)?.try_into().map_err(|_| Reason::HexMalformed)?;
            Ok((digest, entry))
        });
        keys.collect::<Result<_, Reason>>().map(ApiKeys)
    }

    /// The name of the key, if it may do what `scope` names.
    ///
    /// Returns [`Reason::Unauthenticated`] for a key that is not known and [`Reason::Forbidden`]
    /// for one without the scope. Every entry is looked at, in constant time.
    pub fn check(&self, presented: &str, scope: &str) -> Result<&str, Reason> {
        let digest = sha256(presented.as_bytes());
        let mut found = None;
        for (known, entry) in &self.0 {
            if bool::from(known.ct_eq(&digest)) {
                found = Some(entry);
            }
        }
        let entry = found.ok_or(Reason::Unauthenticated)?;
        if entry.may(scope) { Ok(&entry.name) } else { Err(Reason::Forbidden) }
    }

    /// Whether the key of this name may do what `scope` names; the reasons of [`ApiKeys::check`].
    pub fn check_name(&self, name: &str, scope: &str) -> Result<(), Reason> {
        let found = self.0.iter().find(|(_, entry)| entry.name == name);
        let (_, entry) = found.ok_or(Reason::Unauthenticated)?;
        if entry.may(scope) { Ok(()) } else { Err(Reason::Forbidden) }
    }
}

const PREFIX: &str = "tlk_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_serves_for_its_scopes_only() {
        let key = generate().unwrap();
        let entry = ApiKeyEntry {
            name: "operator".to_owned(),
            scopes: vec!["holders".to_owned()],
            digest: digest(&key),
        };
        let keys = ApiKeys::new(vec![entry]).unwrap();
        assert_eq!(keys.check(&key, "holders"), Ok("operator"));
        assert_eq!(keys.check(&key, "fundings"), Err(Reason::Forbidden));
        assert_eq!(keys.check("tlk_other", "holders"), Err(Reason::Unauthenticated));
        assert_eq!(keys.check("", "holders"), Err(Reason::Unauthenticated));
        assert!(key.starts_with("tlk_") && key.len() == 47);
    }
}

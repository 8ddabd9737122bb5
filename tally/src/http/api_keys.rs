//! API keys for operators and tills: random, scoped, kept only as a digest.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use tallystick_api::Bytes;
use tallystick_kernel::hash::sha256;
use tallystick_kernel::{Digest, Reason, hex};
use zeroize::Zeroizing;

use crate::failure::Failure;
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
    /// The keys of a configuration.
    ///
    /// Fails with [`Reason::HexMalformed`] for a digest that is none, and with
    /// [`Reason::NamedTwice`] for a name or a key that stands there twice: the name is who a key
    /// acts as, and two would share their writes and their audit trail.
    pub fn new(entries: Vec<ApiKeyEntry>) -> Result<ApiKeys, Failure> {
        let mut names = HashSet::new();
        let mut digests = HashSet::new();
        for entry in &entries {
            let is_new = names.insert(&entry.name) && digests.insert(&entry.digest);
            if !is_new {
                return Err(Failure::new(Reason::NamedTwice)
                    .cause(format!("the API key {} stands twice in api_keys", entry.name))
                    .next_step("give each key a name of its own, and list it once"));
            }
        }
        let keys = entries.into_iter().map(|entry| {
            let digest = hex::decode(&entry.digest).ok().and_then(|bytes| bytes.try_into().ok());
            let digest: Digest = digest.ok_or_else(|| {
                Failure::new(Reason::HexMalformed)
                    .cause(format!("the digest of the API key {}", entry.name))
            })?;
            Ok((digest, entry))
        });
        keys.collect::<Result<_, Failure>>().map(ApiKeys)
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

    #[test]
    fn two_keys_of_one_name_one_key_of_two_names_and_a_digest_that_is_none_are_refused() {
        let entry = |name: &str, digest: String| ApiKeyEntry {
            name: name.to_owned(),
            scopes: Vec::new(),
            digest,
        };
        let refused = |entries: Vec<ApiKeyEntry>| ApiKeys::new(entries).unwrap_err();
        let shared_name = refused(vec![entry("till", digest("a")), entry("till", digest("b"))]);
        assert_eq!(shared_name.reason, Reason::NamedTwice);
        assert!(shared_name.causes[0].contains("till"), "{shared_name}");
        let shared_key = refused(vec![entry("till", digest("a")), entry("desk", digest("a"))]);
        assert_eq!(shared_key.reason, Reason::NamedTwice);
        assert_eq!(refused(vec![entry("till", "xy".to_owned())]).reason, Reason::HexMalformed);
        assert!(ApiKeys::new(vec![entry("a", digest("a")), entry("b", digest("b"))]).is_ok());
    }
}

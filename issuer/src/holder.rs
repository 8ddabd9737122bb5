//! Holders: login, the linked ledger account, and the token that stands for it.

use tallystick_crypto::password::{self, SALT_BYTES};
use tallystick_crypto::{PublicKey, Signature};
use tallystick_kernel::shown_text::is_shown;
use tallystick_kernel::{AccountId, Codec, HolderId, NetworkId, Reader, Reason, Writer, hex};
use tallystick_proofs::account_link;
use tallystick_proofs::owners::Owners;

/// Bytes of a login name at most.
pub const NAME_BYTES_MAX: usize = 64;
/// Bytes of a password at least and at most.
pub const PASSWORD_BYTES: core::ops::RangeInclusive<usize> = 8..=256;
/// Bytes of a stored holder at most.
pub const HOLDER_BYTES_MAX: usize = 1024;

/// A holder. The record's key is the id; `name` is an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Random; says nothing about the person.
    pub id: HolderId,
    /// The login name.
    pub name: String,
    /// Argon2id hash in PHC form.
    pub password_hash: String,
    /// The ledger account, once there is one.
    pub link: Option<Link>,
    /// Whether payments are stopped.
    pub blocked: bool,
}

/// A ledger account that a holder has proven to control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The account.
    pub account: AccountId,
    /// Stands for the account in payment codes and certificates; random.
    pub token: String,
}

impl Holder {
    /// A new holder. `salt` is random.
    ///
    /// Returns [`Reason::FieldInvalid`] for a name that is empty, too long or has spaces or control
    /// characters, and for a password that is too short or too long. Slow on purpose.
    pub fn new(
        id: HolderId,
        name: &str,
        password: &str,
        salt: &[u8; SALT_BYTES],
    ) -> Result<Holder, Reason> {
        if !is_name(name) || !PASSWORD_BYTES.contains(&password.len()) {
            return Err(Reason::FieldInvalid);
        }
        let password_hash = password::hash(password, salt)?;
        Ok(Holder { id, name: name.to_owned(), password_hash, link: None, blocked: false })
    }

    /// [`Reason::LoginWrong`] for another password. Slow on purpose.
    pub fn check_password(&self, password: &str) -> Result<(), Reason> {
        check_password(&self.password_hash, password)
    }

    /// Links an account whose owners on the ledger are `owners`; `key` signed
    /// [`account_link::message`]. The same account again changes nothing.
    ///
    /// Returns [`Reason::AccountLinked`] when another is linked, [`Reason::NotOwner`] when the key
    /// alone does not control the account, and the reasons of [`PublicKey::verify`].
    pub fn link(
        &self,
        network: &NetworkId,
        account: AccountId,
        owners: &Owners,
        key: &PublicKey,
        signature: &Signature,
        token: [u8; 16],
    ) -> Result<Holder, Reason> {
        if owners.threshold != 1 || !owners.keys.contains(key) {
            return Err(Reason::NotOwner);
        }
        key.verify(&account_link::message(network, &self.id, &account), signature)?;
        match &self.link {
            Some(link) if link.account == account => Ok(self.clone()),
            Some(_) => Err(Reason::AccountLinked),
            None => {
                let link = Link { account, token: hex::encode(&token) };
                Ok(Holder { link: Some(link), ..self.clone() })
            }
        }
    }

    /// The linked account; [`Reason::AccountNotLinked`] when there is none.
    pub fn require_link(&self) -> Result<&Link, Reason> {
        self.link.as_ref().ok_or(Reason::AccountNotLinked)
    }
}

/// Whether a login name has the form of one: neither empty nor too long, without spaces or anything
/// that is not seen.
pub fn is_name(name: &str) -> bool {
    let plain = is_shown(name) && !name.chars().any(char::is_whitespace);
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && plain
}

/// Checks a password against a stored hash; without one, spends the same time on a hash that
/// matches nothing, so that nobody learns which names exist.
pub fn check_password(stored: &str, password: &str) -> Result<(), Reason> {
    if password.len() > *PASSWORD_BYTES.end() {
        return Err(Reason::LoginWrong);
    }
    password::verify(password, stored).map_err(|_| Reason::LoginWrong)
}

impl Codec for Holder {
    fn encode(&self, out: &mut Writer) {
        out.array(6).u64(VERSION).value(&self.id).text(&self.name).text(&self.password_hash);
        out.option(self.link.as_ref()).bool(self.blocked);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(6)?;
        if input.u64()? != VERSION {
            return Err(Reason::VersionUnknown);
        }
        Ok(Holder {
            id: HolderId::decode(input)?,
            name: input.text(NAME_BYTES_MAX)?.to_owned(),
            password_hash: input.text(256)?.to_owned(),
            link: input.option()?,
            blocked: input.bool()?,
        })
    }
}

impl Codec for Link {
    fn encode(&self, out: &mut Writer) {
        out.array(2).value(&self.account).text(&self.token);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(2)?;
        Ok(Link { account: AccountId::decode(input)?, token: input.text(64)?.to_owned() })
    }
}

const VERSION: u64 = 1;

#[cfg(test)]
mod tests {
    use tallystick_crypto::SigningKey;

    use super::*;

    fn holder() -> Holder {
        Holder::new(HolderId([1; 32]), "ada", "correct horse", &[2; SALT_BYTES]).unwrap()
    }

    #[test]
    fn a_holder_logs_in_with_the_right_password_only() {
        let holder = holder();
        assert_eq!(holder.check_password("correct horse"), Ok(()));
        assert_eq!(holder.check_password("correct horsf"), Err(Reason::LoginWrong));
        assert_eq!(holder.check_password(&"x".repeat(1000)), Err(Reason::LoginWrong));
        assert_eq!(Holder::from_bytes(&holder.to_bytes(), HOLDER_BYTES_MAX), Ok(holder));
        let long = "x".repeat(65);
        for name in ["", "a b", "a\n", long.as_str()] {
            let made = Holder::new(HolderId([1; 32]), name, "correct horse", &[2; SALT_BYTES]);
            assert_eq!(made.err(), Some(Reason::FieldInvalid), "{name:?}");
        }
        let made = Holder::new(HolderId([1; 32]), "ada", "short", &[2; SALT_BYTES]);
        assert_eq!(made.err(), Some(Reason::FieldInvalid));
    }

    #[test]
    fn an_account_is_linked_by_its_owner_alone_and_once() {
        let (network, account) = (NetworkId([3; 32]), AccountId([4; 32]));
        let key = SigningKey::ed25519_from_seed(&[5; 32]);
        let owners = Owners::single(key.public_key());
        let link = |holder: &Holder, account: AccountId, key: &SigningKey, owners: &Owners| {
            let message = account_link::message(&network, &holder.id, &account);
            let (public, signature) = (key.public_key(), key.sign(&message));
            holder.link(&network, account, owners, &public, &signature, [6; 16])
        };
        let linked = link(&holder(), account, &key, &owners).unwrap();
        assert_eq!(linked.require_link().unwrap().account, account);
        assert_eq!(link(&linked, account, &key, &owners), Ok(linked.clone()));
        let second = link(&linked, AccountId([9; 32]), &key, &owners);
        assert_eq!(second, Err(Reason::AccountLinked));
        let thief = SigningKey::ed25519_from_seed(&[7; 32]);
        assert_eq!(link(&holder(), account, &thief, &owners), Err(Reason::NotOwner));
        let joint = Owners { threshold: 2, keys: vec![key.public_key(), thief.public_key()] };
        assert_eq!(link(&holder(), account, &key, &joint), Err(Reason::NotOwner));
        let message = account_link::message(&network, &HolderId([8; 32]), &account);
        let (public, foreign) = (key.public_key(), key.sign(&message));
        let stolen = holder().link(&network, account, &owners, &public, &foreign, [6; 16]);
        assert_eq!(stolen, Err(Reason::SignatureInvalid), "signed for another holder");
        assert_eq!(holder().require_link(), Err(Reason::AccountNotLinked));
    }
}

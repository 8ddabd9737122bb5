//! Passwords kept as Argon2id (RFC 9106) in PHC string form.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tallystick_kernel::Reason;
use zeroize::Zeroizing;

/// Memory of one hash in KiB: 19 MiB, the smallest that OWASP recommends with two passes.
pub const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over the memory.
pub const PASSES: u32 = 2;
/// Lanes.
pub const LANES: u32 = 1;
/// Bytes of a salt.
pub const SALT_BYTES: usize = 16;
/// Bytes of the longest password that is looked at.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// The PHC string to store for `password`; the caller draws `salt` at random.
///
/// Returns [`Reason::TooLarge`] above [`PASSWORD_BYTES_MAX`].
pub fn hash(password: &str, salt: &[u8; SALT_BYTES]) -> Result<String, Reason> {
    let made: PasswordHash = bounded(password)
        .and_then(|password| hasher().map(|hasher| hasher.hash_password_with_salt(password, salt)))?
        .map_err(|_| Reason::Internal)?;
    Ok(made.to_string())
}

/// Whether `password` is the one that `stored` was made from; [`Reason::LoginWrong`] otherwise,
/// [`Reason::StorageCorrupt`] when `stored` is not a PHC string of [`hash`].
///
/// It takes the time of one hash. For a name that does not exist the caller should verify against
/// some stored string all the same, so that the time does not tell.
pub fn verify(password: &str, stored: &str) -> Result<(), Reason> {
    let parsed = PasswordHash::new(stored).map_err(|_| Reason::StorageCorrupt)?;
    let params = Params::try_from(&parsed).map_err(|_| Reason::StorageCorrupt)?;
    if params.m_cost() > MEMORY_KIB || params.t_cost() > PASSES || params.p_cost() > LANES {
        return Err(Reason::StorageCorrupt);
    }
    let password = bounded(password).map_err(|_| Reason::LoginWrong)?;
    hasher()?.verify_password(password, &parsed).map_err(|_| Reason::LoginWrong)
}

/// The 32-byte key that `passphrase` and `salt` stand for, for files encrypted at rest.
pub fn derive_key(
    passphrase: &str,
    salt: &[u8; SALT_BYTES],
) -> Result<Zeroizing<[u8; 32]>, Reason> {
    let mut key = Zeroizing::new([0; 32]);
    hasher()?
        .hash_password_into(bounded(passphrase)?, salt, &mut key[..])
        .map_err(|_| Reason::Internal)?;
    Ok(key)
}

fn bounded(password: &str) -> Result<&[u8], Reason> {
    if password.len() > PASSWORD_BYTES_MAX {
        Err(Reason::TooLarge)
    } else {
        Ok(password.as_bytes())
    }
}

fn hasher() -> Result<Argon2<'static>, Reason> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(32)).map_err(|_| Reason::Internal)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_recognised_and_another_is_not() {
        let stored = hash("correct horse", &[5; 16]).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_eq!(verify("correct horse", &stored), Ok(()));
        assert_eq!(verify("correct horses", &stored), Err(Reason::LoginWrong));
        assert_eq!(verify("", &stored), Err(Reason::LoginWrong));
        assert_ne!(stored, hash("correct horse", &[6; 16]).unwrap());
    }

    #[test]
    fn a_stored_string_of_another_make_is_not_trusted() {
        for stored in ["", "plain", "$argon2id$v=19$m=4194304,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA"]
        {
            assert_eq!(verify("correct horse", stored), Err(Reason::StorageCorrupt), "{stored}");
        }
        let long = "x".repeat(PASSWORD_BYTES_MAX + 1);
        assert_eq!(hash(&long, &[5; 16]), Err(Reason::TooLarge));
    }
}

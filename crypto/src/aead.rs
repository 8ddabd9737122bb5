//! Authenticated encryption at rest: AES-256-GCM (NIST SP 800-38D).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use tallystick_kernel::Reason;
use zeroize::Zeroizing;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;
/// Bytes that sealing adds to a plaintext.
pub const TAG_BYTES: usize = 16;

/// Encrypts `plaintext` and binds it to `associated`.
///
/// The caller must never use one `nonce` twice with one key: it draws the nonce at random and
/// seals far fewer than 2^32 times with a key.
pub fn seal(
    key: &[u8; KEY_BYTES],
    nonce: [u8; NONCE_BYTES],
    associated: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, Reason> {
    let mut bytes = plaintext.to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    prepare(key)?
        .seal_in_place_append_tag(nonce, Aad::from(associated), &mut bytes)
        .map_err(|_| Reason::TooLarge)?;
    Ok(bytes)
}

/// Decrypts what [`seal`] made; [`Reason::SealUnreadable`] for another key, nonce, associated data
/// or one altered bit.
pub fn open(
    key: &[u8; KEY_BYTES],
    nonce: [u8; NONCE_BYTES],
    associated: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Reason> {
    let mut bytes = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key(nonce);
    let length = prepare(key)?
        .open_in_place(nonce, Aad::from(associated), &mut bytes)
        .map_err(|_| Reason::SealUnreadable)?
        .len();
    bytes.truncate(length);
    Ok(bytes)
}

fn prepare(key: &[u8; KEY_BYTES]) -> Result<LessSafeKey, Reason> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| Reason::Internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_nonce_and_context_open() {
        let sealed = seal(&[1; 32], [2; 12], b"context", b"secret").unwrap();
        assert_eq!(sealed.len(), 6 + TAG_BYTES);
        assert_eq!(&open(&[1; 32], [2; 12], b"context", &sealed).unwrap()[..], b"secret");
        assert_eq!(open(&[3; 32], [2; 12], b"context", &sealed), Err(Reason::SealUnreadable));
        assert_eq!(open(&[1; 32], [3; 12], b"context", &sealed), Err(Reason::SealUnreadable));
        assert_eq!(open(&[1; 32], [2; 12], b"other", &sealed), Err(Reason::SealUnreadable));
        assert_eq!(open(&[1; 32], [2; 12], b"context", &[]), Err(Reason::SealUnreadable));
        for place in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[place] ^= 1;
            assert_eq!(open(&[1; 32], [2; 12], b"context", &altered), Err(Reason::SealUnreadable));
        }
    }
}

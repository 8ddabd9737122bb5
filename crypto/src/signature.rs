//! A signature's bytes, whatever its algorithm.

use tallystick_kernel::{Codec, Reader, Reason, Writer};

/// 64 bytes: `R || s` for Ed25519 (RFC 8032), `r || s` for P-256 (RFC 9053 section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(pub [u8; 64]);

impl Codec for Signature {
    fn encode(&self, out: &mut Writer) {
        out.bytes(&self.0);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.byte_array().map(Signature)
    }
}

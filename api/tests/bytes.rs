//! The text form of bytes in JSON: base64url without padding, and one text for each value.

use tallystick_api::Bytes;
use tallystick_kernel::Reason;

#[test]
fn only_the_canonical_text_of_bytes_is_read() {
    assert_eq!(Bytes::encode(&[0xfb, 0xff]), "-_8");
    assert_eq!(Bytes::decode("-_8").unwrap().as_ref(), [0xfb, 0xff]);
    // The other alphabet, padding, bits that are not zero at the end, a space, half a byte.
    for text in ["+/8", "-_8=", "-_9", " -_8", "A"] {
        assert_eq!(Bytes::decode(text).err(), Some(Reason::Base64Malformed), "{text}");
    }
}

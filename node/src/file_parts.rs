//! Files of parts: each part stands after its length in four big-endian bytes.

use std::io::{Read, Write};

use tallystick_kernel::Reason;

/// Writes a part; [`Reason::FileUnreadable`].
pub fn write_part(out: &mut impl Write, bytes: &[u8]) -> Result<(), Reason> {
    let length = u32::try_from(bytes.len()).map_err(|_| Reason::TooLarge)?;
    out.write_all(&length.to_be_bytes()).map_err(unwritable)?;
    out.write_all(bytes).map_err(unwritable)
}

/// Reads a part of at most so many bytes; [`Reason::Malformed`] when the file ends before it does,
/// [`Reason::TooLarge`].
pub fn read_part(input: &mut impl Read, bytes_max: usize) -> Result<Vec<u8>, Reason> {
    let mut length = [0; 4];
    input.read_exact(&mut length).map_err(|_| Reason::Malformed)?;
    let length = u64::from(u32::from_be_bytes(length));
    if length > bytes_max as u64 {
        return Err(Reason::TooLarge);
    }
    // Grows with what is there, and not with what is promised.
    let mut bytes = Vec::new();
    let taken = input.take(length).read_to_end(&mut bytes).map_err(unwritable)?;
    if taken as u64 == length { Ok(bytes) } else { Err(Reason::Malformed) }
}

/// What a file that cannot be read or written is refused with; the cause goes into the log.
pub fn unwritable(error: std::io::Error) -> Reason {
    tracing::error!(%error, "a file cannot be read or written");
    Reason::FileUnreadable
}

//! Deterministic CBOR (RFC 8949 section 4.2.1): one hand-kept encoding for everything that is
//! signed, hashed or sent.
//!
//! Invariant: [`Codec::from_bytes`] accepts exactly the bytes that [`Codec::to_bytes`] makes.

use minicbor::{Decoder, Encoder};

use crate::reason::Reason;

/// A value with one canonical encoding.
pub trait Codec: Sized {
    /// Appends the encoding to `out`.
    fn encode(&self, out: &mut Writer);

    /// Reads one value; form errors are [`Reason::Malformed`], too long a list or string is
    /// [`Reason::TooLarge`].
    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason>;

    /// The canonical bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new();
        self.encode(&mut out);
        out.finish()
    }

    /// Reads a value that fills `bytes` and whose encoding is canonical.
    ///
    /// More than `bytes_max` bytes are refused before anything is read
    /// ([`Reason::TooLarge`]); bytes left over are [`Reason::TrailingBytes`]; a form that
    /// [`Codec::to_bytes`] would not have written is [`Reason::NotCanonical`].
    fn from_bytes(bytes: &[u8], bytes_max: usize) -> Result<Self, Reason> {
        if bytes.len() > bytes_max {
            return Err(Reason::TooLarge);
        }
        let mut input = Reader::new(bytes);
        let value = Self::decode(&mut input)?;
        if !input.is_empty() {
            return Err(Reason::TrailingBytes);
        }
        if value.to_bytes() != bytes {
            return Err(Reason::NotCanonical);
        }
        Ok(value)
    }
}

/// Writes deterministic CBOR into memory; never fails.
pub struct Writer(Encoder<Vec<u8>>);

/// States why writing cannot fail: the sink is a `Vec`.
macro_rules! infallible {
    ($result:expr) => {
        match $result {
            Ok(_) => {}
            Err(error) => unreachable!("writing to memory: {error}"),
        }
    };
}

impl Default for Writer {
    fn default() -> Self {
        Writer::new()
    }
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Writer {
        Writer(Encoder::new(Vec::new()))
    }

    /// All that was written.
    pub fn finish(self) -> Vec<u8> {
        self.0.into_writer()
    }

    /// Begins an array of `length` items, which the caller must write next.
    pub fn array(&mut self, length: usize) -> &mut Writer {
        infallible!(self.0.array(length as u64));
        self
    }

    /// An unsigned number.
    pub fn u64(&mut self, number: u64) -> &mut Writer {
        infallible!(self.0.u64(number));
        self
    }

    /// A byte string.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Writer {
        infallible!(self.0.bytes(bytes));
        self
    }

    /// A text string.
    pub fn text(&mut self, text: &str) -> &mut Writer {
        infallible!(self.0.str(text));
        self
    }

    /// True or false.
    pub fn bool(&mut self, value: bool) -> &mut Writer {
        infallible!(self.0.bool(value));
        self
    }

    /// One value.
    pub fn value(&mut self, value: &impl Codec) -> &mut Writer {
        value.encode(self);
        self
    }

    /// An array of values.
    pub fn list<T: Codec>(&mut self, values: &[T]) -> &mut Writer {
        self.array(values.len());
        for value in values {
            value.encode(self);
        }
        self
    }

    /// A value, or `null` for none.
    pub fn option<T: Codec>(&mut self, value: Option<&T>) -> &mut Writer {
        match value {
            Some(value) => value.encode(self),
            None => infallible!(self.0.null()),
        }
        self
    }
}

/// Reads CBOR with every length bounded.
pub struct Reader<'b>(Decoder<'b>);

impl<'b> Reader<'b> {
    /// A reader at the start of `bytes`.
    pub fn new(bytes: &'b [u8]) -> Reader<'b> {
        Reader(Decoder::new(bytes))
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.0.position() == self.0.input().len()
    }

    /// The length of a definite array, at most `length_max`.
    pub fn array(&mut self, length_max: usize) -> Result<usize, Reason> {
        let length = self.0.array().map_err(|_| Reason::Malformed)?.ok_or(Reason::Malformed)?;
        match usize::try_from(length) {
            Ok(length) if length <= length_max => Ok(length),
            _ => Err(Reason::TooLarge),
        }
    }

    /// Reads the head of an array that must have exactly `length` items.
    pub fn tuple(&mut self, length: usize) -> Result<(), Reason> {
        match self.array(usize::MAX)? {
            found if found == length => Ok(()),
            _ => Err(Reason::Malformed),
        }
    }

    /// An unsigned number.
    pub fn u64(&mut self) -> Result<u64, Reason> {
        self.0.u64().map_err(|_| Reason::Malformed)
    }

    /// An unsigned number below 2^32.
    pub fn u32(&mut self) -> Result<u32, Reason> {
        self.0.u32().map_err(|_| Reason::Malformed)
    }

    /// An unsigned number below 2^16.
    pub fn u16(&mut self) -> Result<u16, Reason> {
        self.0.u16().map_err(|_| Reason::Malformed)
    }

    /// An unsigned number below 2^8.
    pub fn u8(&mut self) -> Result<u8, Reason> {
        self.0.u8().map_err(|_| Reason::Malformed)
    }

    /// A byte string of at most `bytes_max` bytes.
    pub fn bytes(&mut self, bytes_max: usize) -> Result<&'b [u8], Reason> {
        let bytes = self.0.bytes().map_err(|_| Reason::Malformed)?;
        if bytes.len() > bytes_max { Err(Reason::TooLarge) } else { Ok(bytes) }
    }

    /// A byte string of exactly `N` bytes.
    pub fn byte_array<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        let bytes = self.0.bytes().map_err(|_| Reason::Malformed)?;
        bytes.try_into().map_err(|_| Reason::Malformed)
    }

    /// A text string of at most `bytes_max` bytes.
    pub fn text(&mut self, bytes_max: usize) -> Result<&'b str, Reason> {
        let text = self.0.str().map_err(|_| Reason::Malformed)?;
        if text.len() > bytes_max { Err(Reason::TooLarge) } else { Ok(text) }
    }

    /// True or false.
    pub fn bool(&mut self) -> Result<bool, Reason> {
        self.0.bool().map_err(|_| Reason::Malformed)
    }

    /// A list of at most `length_max` values.
    pub fn list<T: Codec>(&mut self, length_max: usize) -> Result<Vec<T>, Reason> {
        let length = self.array(length_max)?;
        (0..length).map(|_| T::decode(self)).collect()
    }

    /// A value, or none for `null`.
    pub fn option<T: Codec>(&mut self) -> Result<Option<T>, Reason> {
        if self.0.datatype().map_err(|_| Reason::Malformed)? == minicbor::data::Type::Null {
            self.0.null().map_err(|_| Reason::Malformed)?;
            return Ok(None);
        }
        T::decode(self).map(Some)
    }
}

impl Codec for u64 {
    fn encode(&self, out: &mut Writer) {
        out.u64(*self);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.u64()
    }
}

impl Codec for [u8; 32] {
    fn encode(&self, out: &mut Writer) {
        out.bytes(self);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.byte_array()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shortest_definite_form_is_read() {
        assert_eq!(u64::from_bytes(&[0x17], 9), Ok(23));
        assert_eq!(u64::from_bytes(&[0x18, 0x17], 9), Err(Reason::NotCanonical));
        assert_eq!(u64::from_bytes(&[0x17, 0x00], 9), Err(Reason::TrailingBytes));
        assert_eq!(u64::from_bytes(&[0x18], 9), Err(Reason::Malformed));
        assert_eq!(u64::from_bytes(&[0x17], 0), Err(Reason::TooLarge));
    }

    #[test]
    fn a_list_longer_than_its_limit_is_refused_before_it_is_read() {
        let mut input = Reader::new(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(input.list::<u64>(64), Err(Reason::TooLarge));
        let mut indefinite = Reader::new(&[0x9f, 0xff]);
        assert_eq!(indefinite.array(64), Err(Reason::Malformed));
    }
}

//! Lists of records, the latest first, page by page.

use tallystick_api::Page;
use tallystick_kernel::Reason;
use tallystick_store::{Kind, Place, Record, Store};

use crate::http::Refusal;
use crate::http::page::{self, CursorQuery, PAGE_MAX};

/// The length of the time at the end of an index's value.
const TIME_BYTES: usize = 8;
/// The length of the keys of what is listed.
const KEY_BYTES: usize = 32;

/// Where a page begins; [`Reason::FieldInvalid`] for a cursor that was never given.
pub fn place(cursor: &CursorQuery) -> Result<Option<Place>, Refusal> {
    let of = |bytes: [u8; TIME_BYTES + KEY_BYTES]| {
        let (rest, key) = bytes.split_at(TIME_BYTES);
        Place { rest: rest.to_vec(), key: key.to_vec() }
    };
    Ok(cursor.array()?.map(of))
}

/// Which part of a list is read.
#[derive(Clone, Debug)]
pub struct Slice {
    /// Where it begins: after this place, or with the latest.
    pub before: Option<Place>,
    /// How many items it has at most.
    pub size: usize,
}

impl Slice {
    /// A page of the interface.
    pub fn page(before: Option<Place>) -> Slice {
        Slice { before, size: PAGE_MAX }
    }
}

/// One record more than fits into the slice, of those whose index begins with `prefix` and goes on with
/// the time (8 bytes, big-endian).
pub async fn read(
    store: &Store,
    kind: Kind,
    index: &'static str,
    prefix: &[u8],
    slice: &Slice,
) -> Result<Vec<(Place, Record)>, Reason> {
    store.latest(kind, index, prefix, slice.before.as_ref(), slice.size as u32 + 1).await
}

/// The page.
pub fn page<T>(
    found: Vec<(Place, Record)>,
    slice: &Slice,
    shown: impl Fn(&Record) -> Result<T, Reason>,
) -> Result<Page<T>, Reason> {
    let cursor = |(place, _): &(Place, Record)| cursor(place);
    page::page(found, slice.size, cursor, |(_, record)| shown(&record))
}

/// The cursor of a place, before it is made a text.
pub fn cursor(place: &Place) -> Vec<u8> {
    [place.rest.as_slice(), &place.key].concat()
}

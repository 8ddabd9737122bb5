//! Lists of records, the latest first, page by page.

use tallystick_api::Page;
use tallystick_kernel::Reason;
use tallystick_store::{Kind, Place, Record, Store};

use crate::http::Refusal;
use crate::http::page::{self, CursorQuery, PAGE_MAX};

/// The length of the time at the end of an index's value.
const TIME_BYTES: usize = 8;

/// Where a page begins; [`Reason::FieldInvalid`] for a cursor that was never given.
pub fn place(cursor: &CursorQuery) -> Result<Option<Place>, Refusal> {
    let of = |bytes: Vec<u8>| {
        let (rest, key) = bytes.split_at(TIME_BYTES.min(bytes.len()));
        Place { rest: rest.to_vec(), key: key.to_vec() }
    };
    Ok(cursor.bytes()?.map(of))
}

/// One record more than fits on a page, of those whose index begins with `prefix` and goes on with
/// the time (8 bytes, big-endian).
pub async fn read(
    store: &Store,
    kind: Kind,
    index: &'static str,
    prefix: &[u8],
    before: Option<Place>,
) -> Result<Vec<(Place, Record)>, Reason> {
    store.latest(kind, index, prefix, before.as_ref(), PAGE_MAX as u32 + 1).await
}

/// The page.
pub fn page<T>(
    found: Vec<(Place, Record)>,
    shown: impl Fn(&Record) -> Result<T, Reason>,
) -> Result<Page<T>, Reason> {
    let cursor = |(place, _): &(Place, Record)| [place.rest.as_slice(), &place.key].concat();
    page::page(found, PAGE_MAX, cursor, |(_, record)| shown(&record))
}

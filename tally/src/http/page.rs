//! Pages of lists: opaque cursors.
//!
//! Invariant: a page holds at most as many items as its endpoint says, and tells where the next one
//! begins whenever there may be more.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::Deserialize;
use tallystick_api::{Bytes, Page, Problem};
use tallystick_kernel::Reason;

use super::problem::Refusal;

/// Items on a page, where an endpoint does not say otherwise.
pub const PAGE_MAX: usize = 100;
/// The greatest number of bytes in a cursor.
const CURSOR_BYTES_MAX: usize = 256;

/// `?cursor=`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct CursorQuery {
    cursor: Option<String>,
}

impl CursorQuery {
    /// A cursor that came by another way than `?cursor=`.
    pub fn of(cursor: Option<&str>) -> CursorQuery {
        CursorQuery { cursor: cursor.map(str::to_owned) }
    }

    /// The cursor's bytes; [`Reason::FieldInvalid`] for a text that is none.
    pub fn bytes(&self) -> Result<Option<Vec<u8>>, Refusal> {
        let read = |cursor: &String| match Bytes::decode(cursor) {
            Ok(Bytes(bytes)) if bytes.len() <= CURSOR_BYTES_MAX => Ok(bytes),
            _ => Err(invalid()),
        };
        self.cursor.as_ref().map(read).transpose()
    }

    /// The cursor as a value of `N` bytes; [`Reason::FieldInvalid`] for a text that is none.
    pub fn array<const N: usize>(&self) -> Result<Option<[u8; N]>, Refusal> {
        let read = |bytes: Vec<u8>| bytes.try_into().map_err(|_| invalid());
        self.bytes()?.map(read).transpose()
    }
}

fn invalid() -> Refusal {
    Problem::new(Reason::FieldInvalid)
        .field("cursor")
        .way_out("pass back `next` of a page, as it is")
        .into()
}

/// A page from up to one item more than fits: `cursor` gives where an item stands.
pub fn page<T, I>(
    mut found: Vec<T>,
    page_max: usize,
    cursor: impl Fn(&T) -> Vec<u8>,
    shown: impl Fn(T) -> Result<I, Reason>,
) -> Result<Page<I>, Reason> {
    let is_more = found.len() > page_max;
    found.truncate(page_max);
    let next = found.last().filter(|_| is_more).map(|last| Bytes::encode(&cursor(last)));
    let items = found.into_iter().map(shown).collect::<Result<_, Reason>>()?;
    Ok(Page { items, next })
}

impl<S: Send + Sync> FromRequestParts<S> for CursorQuery {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let query = Query::<CursorQuery>::from_request_parts(parts, state).await;
        let Query(query) = query.map_err(|error| {
            Problem::new(Reason::FieldInvalid).field("query").cause(error.body_text())
        })?;
        Ok(query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_capped_and_its_next_one_begins_after_it() {
        let numbers = |count: u8| (0..count).collect::<Vec<u8>>();
        let of = |found| page(found, 3, |one: &u8| vec![*one], Ok).unwrap();
        assert_eq!(of(numbers(4)), Page { items: vec![0, 1, 2], next: Some(Bytes::encode(&[2])) });
        assert_eq!(of(numbers(3)), Page { items: vec![0, 1, 2], next: None });
        assert_eq!(of(Vec::new()), Page { items: Vec::new(), next: None });
    }

    #[test]
    fn a_cursor_that_was_never_given_is_refused_with_its_field() {
        let query = CursorQuery { cursor: Some("!".to_owned()) };
        assert_eq!(query.bytes().unwrap_err().reason(), Reason::FieldInvalid);
        let short = CursorQuery { cursor: Some(Bytes::encode(&[1; 8])) };
        assert_eq!(short.array::<8>().unwrap(), Some([1; 8]));
        assert_eq!(short.array::<32>().unwrap_err().reason(), Reason::FieldInvalid);
        assert!(CursorQuery::default().bytes().unwrap().is_none());
    }
}

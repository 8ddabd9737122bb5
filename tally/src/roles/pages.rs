//! What the pages of every role share: the files that they load, and how HTML is answered.
//!
//! Invariant: every page goes out with the content security policy, and is kept by no cache.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tallystick_api::issuer::Progress;
use tallystick_api::operation::{Access, Operation};
use tallystick_api::problem::PROBLEM_MEDIA_TYPE;
use tallystick_kernel::limits::SESSION_LIFE;
use tallystick_kernel::{Amount, DurationMs, Reason};

use crate::console::files::{self, File};
use crate::console::layout::{self, Links, Page, Place};
use crate::console::pages::holder::Stage;
use crate::console::pages::missing::{missing, sentence};
use crate::console::table::Listed;
use crate::http::api_keys::ApiKeys;
use crate::http::gate::Subject;
use crate::http::visitor::{self, Visit, VisitorKind};
use crate::http::{Caller, CursorQuery, Refusal, Routes};
use crate::source;
use crate::stored::StoredSessions;
use crate::stored::latest::{self, Slice};

/// A file that pages load.
pub const FILE: Operation = Operation::get(
    "consoleFile",
    "/console/{file}",
    Access::Public,
    "A style, a script or a picture of the pages.",
)
.page()
.refuses(&[Reason::NotFound], &[]);

/// Adds the files to a role.
pub fn routes<S: Clone + Send + Sync + 'static>(routes: Routes<S>) -> Routes<S> {
    routes.add(FILE, file)
}

/// A page as a response.
pub fn shown(page: &Page<'_>) -> Response {
    html(StatusCode::OK, page)
}

/// A page that shows its form again, with why it was refused. The answer has the status of the
/// reason: that is what counts a wrong guess.
pub fn shown_again(page: &Page<'_>, refused: Option<Reason>) -> Response {
    html(refused.map_or(StatusCode::OK, status_of), page)
}

fn status_of(reason: Reason) -> StatusCode {
    let status = tallystick_api::status_of(reason);
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The page of a refusal.
pub fn refused(reason: Reason, way_out: &str, place: Place, links: &Links) -> Response {
    let page = Page {
        title: "Not shown",
        place,
        links,
        logged_in: None,
        modules: &[],
        live: None,
        is_narrow: true,
        content: missing(reason, Some(way_out)),
    };
    html(status_of(reason), &page)
}

/// What the pages of refusals are framed in.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The part of the console that they belong to.
    pub place: Place,
    /// The way to the other roles.
    pub links: Links,
}

/// Has a role answer browsers with pages where it refuses, with the same status and headers: a
/// problem document is for programs. Browsers are whoever asks for HTML by name.
pub fn for_browsers(router: Router, frame: Frame) -> Router {
    router.layer(from_fn_with_state(Arc::new(frame), show_refusal))
}

async fn show_refusal(State(frame): State<Arc<Frame>>, request: Request, next: Next) -> Response {
    let accepted = request.headers().get(ACCEPT).and_then(|accepted| accepted.to_str().ok());
    let wants_page = accepted.is_some_and(|accepted| accepted.contains("text/html"));
    let response = next.run(request).await;
    let headers = response.headers();
    let is_problem =
        headers.get(CONTENT_TYPE).is_some_and(|it| it.as_bytes() == PROBLEM_MEDIA_TYPE.as_bytes());
    let reason = response.extensions().get::<Reason>().copied();
    let Some(reason) = reason.filter(|_| wants_page && is_problem) else { return response };
    let page = refused(reason, way_on(reason), frame.place, &frame.links);
    let (mut parts, _) = response.into_parts();
    let (of_page, body) = page.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.extend(of_page.headers);
    Response::from_parts(parts, body)
}

/// What somebody in front of a browser does about a refusal.
const fn way_on(reason: Reason) -> &'static str {
    match reason {
        Reason::RateLimited => "Wait a minute, then try again.",
        Reason::NotFound => "Nothing is at this address; begin again at the beginning.",
        Reason::MethodNotAllowed => "What was sent from a form cannot be asked for again.",
        Reason::Unauthenticated | Reason::Forbidden => "Log in again, with a key that may do this.",
        Reason::NotReady | Reason::Unreachable | Reason::Timeout => "Try again in a moment.",
        _ => "Go back, look at what was typed, and try again.",
    }
}

fn html(code: StatusCode, page: &Page<'_>) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, files::CONTENT_SECURITY_POLICY),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (code, headers, layout::document(page).into_string()).into_response()
}

async fn file(
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let file = File::find(&name).ok_or(Reason::NotFound)?;
    let tag = format!("\"{}\"", file.version());
    let is_kept = headers.get(IF_NONE_MATCH).is_some_and(|kept| kept.as_bytes() == tag.as_bytes());
    let cache = file.cache_control(query.as_deref());
    let answer = [
        (CONTENT_TYPE, file.media_type),
        (CONTENT_SECURITY_POLICY, files::CONTENT_SECURITY_POLICY),
        (CACHE_CONTROL, cache),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (ETAG, tag.as_str()),
    ];
    if is_kept {
        return Ok((StatusCode::NOT_MODIFIED, answer).into_response());
    }
    Ok((answer, file.bytes).into_response())
}

/// How long a browser keeps the cookie of a session: as long as the session lasts.
pub const COOKIE_LIFE: DurationMs = SESSION_LIFE;

/// Leads to `address` with a session's cookie, or without it when there is no token.
pub fn enter(
    visits: &Visits,
    kind: VisitorKind,
    token: Option<&str>,
    address: &str,
) -> Result<Response, Reason> {
    let mut response = Redirect::to(address).into_response();
    let life = if token.is_some() { COOKIE_LIFE } else { DurationMs(0) };
    let (headers, url) = (response.headers_mut(), &visits.public_url);
    visitor::keep(headers, &kind.cookie(url), token.unwrap_or_default(), life, url)?;
    Ok(response)
}

/// A login with an API key.
#[derive(Deserialize)]
pub struct KeyForm {
    key: String,
}

/// Begins the visit of whoever has a key for this access, and leads them to `address`.
///
/// Returns [`Reason::Forbidden`] for a form of another site's and for a key without the scope, and
/// [`Reason::Unauthenticated`] for a key that is not known.
pub async fn enter_with_key(
    visits: &Visits,
    sessions: &StoredSessions,
    headers: &HeaderMap,
    form: &KeyForm,
    access: Access,
    address: &str,
) -> Result<Response, Reason> {
    visitor::check_site(headers)?;
    let (Access::VisitorScope(scope), Some(kind)) = (access, VisitorKind::of(access)) else {
        return Err(Reason::Internal);
    };
    let name = visits.api_keys.check(form.key.trim(), scope)?.to_owned();
    let (token, _) = sessions.begin(&Subject::Key(name), source::now()).await?;
    enter(visits, kind, Some(&token), address)
}

/// Why a key was refused, for the page on which it was typed.
pub fn key_refused(reason: Reason, access: Access) -> String {
    match (reason, access) {
        (Reason::Unauthenticated, _) => {
            "This key is not known here. Copy the whole text of the key file.".to_owned()
        }
        (Reason::Forbidden, Access::VisitorScope(scope)) => {
            format!("This key may not come in here: it lacks the scope {scope}.")
        }
        _ => sentence(reason),
    }
}

/// Ends a visit, of whichever kind.
pub async fn leave(
    visits: &Visits,
    kind: VisitorKind,
    sessions: &StoredSessions,
    headers: &HeaderMap,
) -> Result<Response, Reason> {
    if let Some(token) = visitor::cookie(headers, &kind.cookie(&visits.public_url)) {
        sessions.end(token).await?;
    }
    enter(visits, kind, None, kind.login())
}

/// What a role's pages need of its configuration.
#[derive(Clone, Debug, Default)]
pub struct Visits {
    /// The way to the pages of the other roles.
    pub links: Links,
    /// The role's own address.
    pub public_url: String,
    /// The keys with which one may log in.
    pub api_keys: ApiKeys,
}

/// An amount that was typed into a form, in major units. Beside the point a comma is taken, as
/// people of many countries write it; what groups digits is refused, because it looks the same.
///
/// Returns the reasons of [`Amount::parse`].
pub fn typed_amount(text: &str, exponent: u8) -> Result<Amount, Reason> {
    let text = text.trim();
    match text.matches(['.', ',']).count() {
        1 => Amount::parse(&text.replace(',', "."), exponent),
        _ => Amount::parse(text, exponent),
    }
}

/// Rows of one list on a page.
pub const ROWS_MAX: usize = 20;

/// The part of a list that a page shows: from `before` on, a cursor of the part after it in time.
///
/// Returns [`Reason::FieldInvalid`] for a cursor that was never given.
pub fn slice(before: Option<&str>) -> Result<Slice, Refusal> {
    let before = latest::place(&CursorQuery::of(before))?;
    Ok(Slice { before, size: ROWS_MAX })
}

/// Where the other parts of a list are: `name` is the parameter with the cursor, and the id of the
/// list on the page at `path`.
pub fn listed<T, U>(
    page: tallystick_api::Page<T>,
    before: Option<&str>,
    (path, name): (&str, &str),
    entry: impl Fn(T) -> U,
) -> Listed<U> {
    Listed {
        entries: page.items.into_iter().map(entry).collect(),
        older: page.next.map(|next| format!("{path}?{name}={next}#{name}")),
        newest: before.map(|_| format!("{path}#{name}")),
    }
}

/// The form token of whoever is logged in; the guard has checked that someone is.
pub fn form_token(caller: &Caller) -> Result<&str, Reason> {
    caller.visit.as_ref().map(Visit::form_token).ok_or(Reason::Unauthenticated)
}

/// How far something is, for pages.
pub const fn stage(progress: Progress) -> Stage {
    match progress {
        Progress::Accepted => Stage::Accepted,
        Progress::Submitted => Stage::Submitted,
        Progress::Settled => Stage::Settled,
        Progress::Failed => Stage::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_stands_for_the_point_but_never_groups_digits() {
        for (text, minor) in [("12.30", 1230), (" 12,30 ", 1230), ("7", 700)] {
            assert_eq!(typed_amount(text, 2), Amount::new(minor), "{text}");
        }
        for text in ["1,234", "1.234,50", "1,234.50", "-1", "1,"] {
            assert_eq!(typed_amount(text, 2), Err(Reason::AmountMalformed), "{text}");
        }
    }
}

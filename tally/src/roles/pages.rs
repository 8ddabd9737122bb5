//! What the pages of every role share: the files that they load, and how HTML is answered.
//!
//! Invariant: every page goes out with the content security policy, and is kept by no cache.

use axum::extract::{Path, RawQuery};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tallystick_api::issuer::Progress;
use tallystick_api::operation::{Access, Operation};
use tallystick_kernel::limits::SESSION_LIFE;
use tallystick_kernel::{DurationMs, Reason};

use crate::console::files::{self, File};
use crate::console::layout::{self, Links, Page, Place};
use crate::console::pages::holder::Stage;
use crate::console::pages::missing::missing;
use crate::http::api_keys::ApiKeys;
use crate::http::gate::Subject;
use crate::http::visitor::{self, Visit, VisitorKind};
use crate::http::{Caller, Refusal, Routes};
use crate::source;
use crate::stored::StoredSessions;

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
    check_site(headers)?;
    let (Access::VisitorScope(scope), Some(kind)) = (access, VisitorKind::of(access)) else {
        return Err(Reason::Internal);
    };
    let name = visits.api_keys.check(form.key.trim(), scope)?.to_owned();
    let (token, _) = sessions.begin(&Subject::Key(name), source::now()).await?;
    enter(visits, kind, Some(&token), address)
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

/// [`Reason::Forbidden`] for a login that another site's page sends.
pub fn check_site(headers: &HeaderMap) -> Result<(), Reason> {
    let site = headers.get("Sec-Fetch-Site").map(|site| site.as_bytes());
    match site {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(Reason::Forbidden),
    }
}

//! Visitors of the pages: a session in a cookie, and a token in every form.
//!
//! Invariants: a cookie is never sent to a write from another site (`SameSite=Strict`), and no
//! write of a visitor is done without the form's token, which follows from the session and which
//! only pages of this role know.

use axum::http::header::{COOKIE, HOST, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use subtle::ConstantTimeEq as _;
use tallystick_api::operation::Access;
use tallystick_kernel::{DurationMs, LabelledHash, Reason, hex};

/// The header that carries the token of the form where a script makes the request.
pub const FORM_TOKEN_HEADER: &str = "X-Form-Token";
/// The field that carries it in a form.
pub const FORM_TOKEN_FIELD: &str = "form_token";

/// Whose session a cookie holds. Cookies know no ports, and one browser may have a session of each
/// kind at each network: the name of a cookie tells the kind and the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VisitorKind {
    /// A holder, who logged in with a password.
    Holder,
    /// An operator of the issuer, with an API key.
    Operator,
    /// A till of the merchant, with an API key.
    Till,
}

impl VisitorKind {
    /// All kinds.
    pub const ALL: [VisitorKind; 3] =
        [VisitorKind::Holder, VisitorKind::Operator, VisitorKind::Till];

    /// Who visits an endpoint; none where nobody does.
    pub fn of(access: Access) -> Option<VisitorKind> {
        match access {
            Access::Visitor => Some(VisitorKind::Holder),
            Access::VisitorScope("charges") => Some(VisitorKind::Till),
            Access::VisitorScope(_) => Some(VisitorKind::Operator),
            _ => None,
        }
    }

    /// The page where one logs in.
    pub const fn login(self) -> &'static str {
        match self {
            VisitorKind::Holder | VisitorKind::Till => "/",
            VisitorKind::Operator => "/operator/login",
        }
    }

    /// The name of the cookie at the role with this address. Where the role is served by TLS, the
    /// prefix `__Host-` keeps other hosts of the domain from setting it (RFC 6265bis, 4.1.3.2).
    pub fn cookie(self, public_url: &str) -> String {
        let (prefix, rest) = match public_url.split_once("://") {
            Some(("https", rest)) => ("__Host-", rest),
            Some((_, rest)) => ("", rest),
            None => ("", public_url),
        };
        let name = match self {
            VisitorKind::Holder => "holder",
            VisitorKind::Operator => "operator",
            VisitorKind::Till => "till",
        };
        let port = rest.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
        match port {
            Some(port) => format!("{prefix}tally_{name}_{port}"),
            None => format!("{prefix}tally_{name}"),
        }
    }
}

/// A visit: the session's form token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    form_token: String,
}

impl Visit {
    /// The visit of a session.
    pub fn of(session_token: &str) -> Visit {
        let digest =
            LabelledHash::new("tallystick/form-token/1").part(session_token.as_bytes()).finish();
        Visit { form_token: hex::encode(&digest) }
    }

    /// What a page puts into its forms.
    pub fn form_token(&self) -> &str {
        &self.form_token
    }

    /// [`Reason::Forbidden`] for a write that does not come from a page of ours: without the token
    /// of the form, or from another site by what the browser says.
    pub fn check_form(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Reason> {
        check_site(headers)?;
        let in_header = headers.get(FORM_TOKEN_HEADER).map(HeaderValue::as_bytes);
        let given = in_header.or_else(|| field(body));
        let given = given.unwrap_or_default();
        if bool::from(given.ct_eq(self.form_token.as_bytes())) {
            Ok(())
        } else {
            Err(Reason::Forbidden)
        }
    }
}

/// [`Reason::Forbidden`] for a form that another site's page sends, by what the browser says of it:
/// `Sec-Fetch-Site`, or `Origin` where a browser knows nothing of that.
pub fn check_site(headers: &HeaderMap) -> Result<(), Reason> {
    if let Some(site) = headers.get("Sec-Fetch-Site").map(HeaderValue::as_bytes) {
        let is_ours = site == b"same-origin" || site == b"none";
        return if is_ours { Ok(()) } else { Err(Reason::Forbidden) };
    }
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    match (origin, host) {
        (Some((_, origin)), Some(host)) if origin.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(Reason::Forbidden),
    }
}

/// The token of a form, which needs no decoding: it is hexadecimal.
fn field(body: &[u8]) -> Option<&[u8]> {
    let mut fields = body.split(|byte| *byte == b'&');
    fields.find_map(|field| {
        field.strip_prefix(FORM_TOKEN_FIELD.as_bytes()).and_then(|rest| rest.strip_prefix(b"="))
    })
}

/// The value of a cookie.
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Has the browser keep a session for `life`, or forget it (`life` zero). `Secure` is asked for
/// where the role is served by TLS.
///
/// Returns [`Reason::Internal`] for a token that a header cannot hold.
pub fn keep(
    headers: &mut HeaderMap,
    name: &str,
    token: &str,
    life: DurationMs,
    public_url: &str,
) -> Result<(), Reason> {
    let secure = if public_url.starts_with("https:") { "; Secure" } else { "" };
    let seconds = life.0 / 1000;
    let text =
        format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    let mut value = HeaderValue::from_str(&text).map_err(|_| Reason::Internal)?;
    value.set_sensitive(true);
    headers.append(SET_COOKIE, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_needs_the_token_of_its_own_session() {
        let (visit, other) = (Visit::of("tls_one"), Visit::of("tls_two"));
        let mut headers = HeaderMap::new();
        let body = format!("amount=1&form_token={}", visit.form_token());
        assert_eq!(visit.check_form(&headers, body.as_bytes()), Ok(()));
        assert_eq!(other.check_form(&headers, body.as_bytes()), Err(Reason::Forbidden));
        assert_eq!(visit.check_form(&headers, b""), Err(Reason::Forbidden));
        headers.insert(FORM_TOKEN_HEADER, HeaderValue::from_str(visit.form_token()).unwrap());
        assert_eq!(visit.check_form(&headers, b""), Ok(()));
        headers.insert(HOST, HeaderValue::from_static("127.0.0.1:7401"));
        for (origin, outcome) in [
            ("http://127.0.0.1:7401", Ok(())),
            ("http://127.0.0.1:7402", Err(Reason::Forbidden)),
            ("null", Err(Reason::Forbidden)),
        ] {
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
            assert_eq!(visit.check_form(&headers, body.as_bytes()), outcome, "{origin}");
        }
        headers.insert("Sec-Fetch-Site", HeaderValue::from_static("cross-site"));
        assert_eq!(visit.check_form(&headers, body.as_bytes()), Err(Reason::Forbidden));
    }

    #[test]
    fn each_kind_of_session_has_a_cookie_of_its_own_at_each_port() {
        let mut names = std::collections::BTreeSet::new();
        for url in ["http://127.0.0.1:7401", "http://[::1]:8401", "https://pay.example"] {
            names.extend(VisitorKind::ALL.map(|kind| kind.cookie(url)));
        }
        assert_eq!(names.len(), 9);
        assert!(names.contains("tally_holder_7401") && names.contains("tally_till_8401"));
        assert!(names.contains("__Host-tally_operator"), "{names:?}");
    }

    #[test]
    fn a_cookie_is_found_among_others_and_kept_from_scripts() {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_static("a=1; tally_issuer=tls_x; b=2"));
        assert_eq!(cookie(&headers, "tally_issuer"), Some("tls_x"));
        assert_eq!(cookie(&headers, "tally"), None);
        let mut answer = HeaderMap::new();
        keep(&mut answer, "tally_issuer", "tls_x", DurationMs::seconds(60), "https://x").unwrap();
        let text = answer[SET_COOKIE].to_str().unwrap();
        let expected = "tally_issuer=tls_x; Path=/; HttpOnly; SameSite=Strict; Max-Age=60; Secure";
        assert_eq!(text, expected);
    }
}

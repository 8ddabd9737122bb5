//! The OpenAPI 3.1 document of a role, made from its operations.
//!
//! Invariant: the document says no more than the operations do. It is committed under `openapi/`,
//! and a test compares it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tallystick_kernel::Reason;
use utoipa::openapi::{RefOr, Schema};

use crate::operation::{Access, Body, Documented as _, Json, Operation, Place};
use crate::problem::{PROBLEM_MEDIA_TYPE, Problem};
use crate::status::status_of;

/// The document of a role: `title` names it, `operations` are all that it serves.
pub fn document(title: &str, says: &str, operations: &[Operation]) -> Value {
    let documented: Vec<&Operation> = operations.iter().filter(|one| !one.is_page).collect();
    let mut paths: Map<String, Value> = Map::new();
    for operation in &documented {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.name().to_lowercase()] = described(operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "description": says,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": { "schemas": schemas(&documented), "securitySchemes": security_schemes() },
    })
}

/// The same as text, as it is committed and served.
pub fn text(title: &str, says: &str, operations: &[Operation]) -> String {
    format!("{:#}\n", document(title, says, operations))
}

fn described(operation: &Operation) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.says,
        "parameters": parameters(operation),
        "responses": responses(operation),
        "security": security(operation.access),
    });
    if let Some(body) = &operation.body {
        described["requestBody"] = json!({ "required": true, "content": content(body) });
    }
    if let Access::Scope(scope) = operation.access {
        described["x-scope"] = json!(scope);
    }
    described
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let in_address = operation.parameters.iter().map(|parameter| {
        json!({
            "name": parameter.name,
            "in": if parameter.place == Place::Path { "path" } else { "query" },
            "required": parameter.place == Place::Path,
            "description": parameter.says,
            "schema": (parameter.schema)(),
        })
    });
    let key = operation.keyed.then(|| {
        json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": true,
            "description": "1 to 128 random characters, the same when the request is sent again: \
                the first answer is given again, with `Idempotency-Hit: true`. A body that could not be \
                read does not use it up.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 128,
                "pattern": "^[!-~]{1,128}$", "examples": ["order-4711"] },
        })
    });
    let last = operation.streams.then(|| {
        json!({
            "name": "Last-Event-ID",
            "in": "header",
            "required": false,
            "description": "The id of the last event that was seen. A node goes back 1000 blocks at \
                most.",
            "schema": { "type": "string", "pattern": "^(0|[1-9][0-9]{0,18})$" },
        })
    });
    in_address.chain(key).chain(last).collect()
}

fn responses(operation: &Operation) -> Value {
    let mut responses: BTreeMap<String, Value> = BTreeMap::new();
    let answer = operation.answer.as_ref().map_or(json!({}), content);
    let done = json!({ "description": "Done.", "content": answer, "headers": headers(operation) });
    responses.insert("200".to_owned(), done);
    let mut reasons: BTreeMap<u16, Vec<Reason>> = BTreeMap::new();
    for reason in operation.reasons() {
        reasons.entry(status_of(reason)).or_default().push(reason);
    }
    for (status, reasons) in reasons {
        responses.insert(status.to_string(), refusal(status, &reasons));
    }
    json!(responses)
}

fn refusal(status: u16, reasons: &[Reason]) -> Value {
    let line = |reason: &Reason| format!("- `{}`: {}", reason.code(), reason.sentence());
    let lines: Vec<String> = reasons.iter().map(line).collect();
    let example = match reasons.first() {
        Some(reason) => {
            Problem { request_id: Some("5a1f0c22".to_owned()), ..Problem::new(*reason) }
        }
        None => Problem::example(),
    };
    let mut refusal = json!({
        "description": format!("Refused, by `code`:\n{}", lines.join("\n")),
        "content": { PROBLEM_MEDIA_TYPE: {
            "schema": { "$ref": "#/components/schemas/Problem" },
            "example": example,
        } },
    });
    if matches!(status, 429 | 503) {
        refusal["headers"] = json!({ "Retry-After": {
            "description": "Seconds to wait before the same is worth sending again.",
            "schema": { "type": "integer", "minimum": 0 },
        } });
    }
    refusal
}

fn headers(operation: &Operation) -> Value {
    let text = |says: &str| json!({ "description": says, "schema": { "type": "string" } });
    let number =
        |says: &str| json!({ "description": says, "schema": { "type": "integer", "minimum": 0 } });
    let mut headers = json!({
        "X-Request-Id": text("Finds the request in the log of the server."),
        "RateLimit-Limit": number("Requests that the caller may make in a window."),
        "RateLimit-Remaining": number("Requests that are left in this window."),
        "RateLimit-Reset": number("Seconds until the next window."),
    });
    if operation.keyed {
        headers["Idempotency-Hit"] = text("`true` where the answer was given before.");
    }
    headers
}

fn content(body: &Body) -> Value {
    match body {
        Body::Json(json) => json!({ "application/json": {
            "schema": reference(json),
            "example": (json.example)(),
        } }),
        Body::Bytes(media_type, says) if media_type.starts_with("text/") => {
            json!({ *media_type: { "schema": { "type": "string", "description": says } } })
        }
        Body::Bytes("application/json", says) => {
            json!({ "application/json": { "schema": { "type": "object", "description": says } } })
        }
        // OpenAPI 3.1: bytes have no schema of JSON.
        Body::Bytes(media_type, says) => {
            json!({ *media_type: { "schema": { "description": says } } })
        }
        Body::Events(json) => json!({ "text/event-stream": { "schema": {
            "type": "string",
            "description": format!("Events; the data of each is a `{}` as JSON.", (json.name)()),
        } } }),
    }
}

fn reference(json: &Json) -> Value {
    json!({ "$ref": format!("#/components/schemas/{}", (json.name)()) })
}

fn security(access: Access) -> Value {
    match access {
        Access::Public | Access::Visitor | Access::VisitorScope(_) => json!([]),
        Access::Scope(_) => json!([{ "apiKey": [] }]),
        Access::Session => json!([{ "session": [] }]),
        Access::Device => json!([{ "dpop": [] }]),
        Access::SessionAndDevice => json!([{ "session": [], "dpop": [] }]),
    }
}

fn security_schemes() -> Value {
    json!({
        "apiKey": { "type": "http", "scheme": "bearer",
            "description": "An API key (`tlk_...`) with the operation's scope (`x-scope`)." },
        "session": { "type": "http", "scheme": "bearer",
            "description": "The token of a holder's session (`tls_...`); with a DPoP proof the \
                scheme is `DPoP`." },
        "dpop": { "type": "apiKey", "in": "header", "name": "DPoP",
            "description": "A proof by the device's P-256 key (RFC 9449)." },
    })
}

fn schemas(operations: &[&Operation]) -> BTreeMap<String, RefOr<Schema>> {
    let mut all = Vec::new();
    for operation in operations {
        for body in [&operation.body, &operation.answer].into_iter().flatten() {
            if let Body::Json(json) | Body::Events(json) = body {
                all.push(((json.name)(), (json.schema)()));
                (json.schemas)(&mut all);
            }
        }
    }
    let problem = Json::of::<Problem>();
    all.push(((problem.name)(), (problem.schema)()));
    (problem.schemas)(&mut all);
    all.into_iter().collect()
}

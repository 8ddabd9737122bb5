//! The audit chain over HTTP.

use axum::Json;
use axum::extract::State;
use tallystick_api::Page;
use tallystick_api::issuer::AuditEntry as Shown;
use tallystick_api::operations::issuer as endpoints;
use tallystick_kernel::{Reason, hex};
use tallystick_store::AuditEntry;

use super::App;
use crate::http::page::{PAGE_MAX, page};
use crate::http::{CursorQuery, Refusal, Routes};

/// The endpoint of the audit chain.
pub fn routes(routes: Routes<App>) -> Routes<App> {
    routes.add(endpoints::AUDIT, audit)
}

async fn audit(State(app): State<App>, cursor: CursorQuery) -> Result<Json<Page<Shown>>, Refusal> {
    let after = cursor.array()?.map_or(0, u64::from_be_bytes);
    let found = app.store.audit(after.min(i64::MAX as u64), PAGE_MAX as u32 + 1).await?;
    let place = |entry: &AuditEntry| entry.sequence.to_be_bytes().to_vec();
    Ok(Json(page(found, PAGE_MAX, place, shown)?))
}

fn shown(entry: AuditEntry) -> Result<Shown, Reason> {
    Ok(Shown {
        sequence: entry.sequence,
        time_ms: entry.time.0,
        event: String::from_utf8(entry.event).map_err(|_| Reason::StorageCorrupt)?,
        hash: hex::encode(&entry.hash),
    })
}

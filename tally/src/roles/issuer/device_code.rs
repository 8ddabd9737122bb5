//! Provisioning over HTTP at the issuer: a holder shows a device's request and decides it.

use axum::Json;
use axum::extract::State;
use tallystick_api::Problem;
use tallystick_api::issuer::{Decision as Asked, DeviceAuthorization, DeviceAuthorizationRequest};
use tallystick_api::operations::issuer as endpoints;
use tallystick_issuer::device_code as decisions;
use tallystick_kernel::{Digest, Reason, hex};
use tallystick_proofs::authorization_code::{self, Decision};
use tallystick_store::{Batch, retry_conflicts};

use super::config::SHARED_KEY;
use super::{App, CONFLICTS_MAX, Issuer, kinds, now};
use crate::http::gate::Caller;
use crate::http::{JsonBody, Refusal, Routes};

/// The endpoint of device authorizations.
pub fn routes(routes: Routes<App>) -> Routes<App> {
    routes.add(endpoints::AUTHORIZE_DEVICE, authorize)
}

impl Issuer {
    /// Remembers a decision; a denial is never taken back.
    async fn remember(&self, request: &Digest, decision: Decision) -> Result<(), Reason> {
        retry_conflicts(CONFLICTS_MAX, || async {
            let found = self.store.read(kinds::DEVICE_DECISION, request).await?;
            let version = found.as_ref().map_or(0, |record| record.version);
            let before = found.map(|record| match record.bytes.as_slice() {
                b"deny" => Decision::Deny,
                _ => Decision::Approve,
            });
            if before == Some(Decision::Deny) && decision == Decision::Approve {
                return Err(Reason::AuthorizationDenied);
            }
            let bytes: &[u8] = match decision {
                Decision::Approve => b"approve",
                Decision::Deny => b"deny",
            };
            let batch = Batch::new()
                .put(kinds::DEVICE_DECISION, *request, version, bytes, &[])
                .audit(now(), format!("device request {} {decision:?}", hex::encode(request)));
            self.store.write(batch).await
        })
        .await
    }
}

async fn authorize(
    State(app): State<App>,
    caller: Caller,
    JsonBody(body): JsonBody<DeviceAuthorizationRequest>,
) -> Result<Json<DeviceAuthorization>, Refusal> {
    let (_, holder) = app.holder(&caller.require_holder()?).await?;
    let request = decisions::read(&body.request, &holder, app.shared_key_id, now())
        .map_err(|reason| Problem::new(reason).field("request"))?;
    let account = holder.require_link()?.account.to_string();
    let mut shown = DeviceAuthorization {
        device: format!("{} (code {})", request.device_name, request.device_code),
        account: format!("{}…{}", &account[..12], &account[account.len() - 6..]),
        authorization_code: None,
        expiry_ms: None,
    };
    let decision = match body.decision {
        None => return Ok(Json(shown)),
        Some(Asked::Approve) => Decision::Approve,
        Some(Asked::Deny) => Decision::Deny,
    };
    // Remembered first: a code that leaves here is never followed by its opposite.
    app.remember(&request.id(), decision).await?;
    let at = now();
    let code = decisions::decide(&app.keys, SHARED_KEY, &request, None, decision, at)?;
    shown.authorization_code = Some(code.to_string());
    shown.expiry_ms = Some(authorization_code::expiry(at).0);
    Ok(Json(shown))
}

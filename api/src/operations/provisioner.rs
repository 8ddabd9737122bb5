//! The endpoints of a provisioner.

use tallystick_kernel::{Group, Reason};

use crate::json::Bytes;
use crate::operation::{Access, Documented, Operation, Parameter, Place};
use crate::provisioner::{
    AuthorizationCodeRequest, ProvisionerKeys, ProvisioningRequest, ProvisioningStarted,
    ReleasedCredential,
};
use crate::text_schema::{self, HexText};
use utoipa::PartialSchema as _;

/// Every endpoint, in the order of the documentation.
pub const ALL: &[Operation] = &[
    super::LIVEZ,
    super::METRICS,
    super::LOG_LEVEL,
    super::READYZ,
    super::OPENAPI,
    KEYS,
    START,
    COMPLETE,
];

/// The provisioner's keys.
pub const KEYS: Operation = Operation::get(
    "provisioner",
    "/v1/provisioner",
    Access::Public,
    "Gives the keys by which others know this provisioner.",
)
.answers::<ProvisionerKeys>();

/// Asks for a credential.
pub const START: Operation = Operation::post(
    "startProvisioning",
    "/v1/provisioning-requests",
    Access::Device,
    "Asks for a credential; answers the device code that the holder carries to the issuer.",
)
.reads::<ProvisioningRequest>()
.answers::<ProvisioningStarted>()
.refuses(&[], &[Group::Form, Group::Witness, Group::Provisioning]);

/// Hands in an authorization code.
pub const COMPLETE: Operation = Operation::post(
    "completeProvisioning",
    "/v1/provisioning-requests/{id}/authorization-code",
    Access::Device,
    "Takes the authorization code that the issuer showed, and releases the credential sealed to \
     the device. A wrong code counts as a guess.",
)
.without_key()
.guess_limited()
.with(&[Parameter {
    name: "id",
    place: Place::Path,
    says: "The request's id.",
    schema: HexText::schema,
}])
.reads::<AuthorizationCodeRequest>()
.answers::<ReleasedCredential>()
.refuses(&[Reason::NotFound], &[Group::Form, Group::Witness, Group::Provisioning]);

impl Documented for ProvisionerKeys {
    fn example() -> Self {
        ProvisionerKeys { credential_key: text_schema::key() }
    }
}

impl Documented for ProvisioningRequest {
    fn example() -> Self {
        ProvisioningRequest {
            account: text_schema::account(),
            device_kind: "phone".to_owned(),
            device_digest: Bytes(vec![0x5a; 32]),
            nonce: Bytes(vec![0x5a; 16]),
            sealing_key: Bytes(vec![0x5a; 32]),
            device_name: "Ada's phone".to_owned(),
        }
    }
}

impl Documented for ProvisioningStarted {
    fn example() -> Self {
        ProvisioningStarted {
            id: "5a".repeat(16),
            device_code: "WDJB-MJHT-B".to_owned(),
            request: "TLYREQ:0123456789".to_owned(),
            expiry_ms: 1_800_000_600_000,
        }
    }
}

impl Documented for AuthorizationCodeRequest {
    fn example() -> Self {
        AuthorizationCodeRequest { authorization_code: "BCDF-GHJK-LMNP-Q".to_owned() }
    }
}

impl Documented for ReleasedCredential {
    fn example() -> Self {
        ReleasedCredential { sealed: Bytes(vec![0x5a; 64]) }
    }
}

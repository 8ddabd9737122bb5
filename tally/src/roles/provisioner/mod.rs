//! `tally provisioner`: hands credentials to devices whose requests an issuer has approved. It
//! never talks to an issuer: the decision comes with the holder.

pub mod config_file;
pub mod pages;

use std::net::IpAddr;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use tallystick_api::Problem;
use tallystick_api::operations::{self, provisioner as endpoints};
use tallystick_api::provisioner::{
    AuthorizationCodeRequest, ProvisionerKeys, ProvisioningRequest, ProvisioningStarted,
    ReleasedCredential,
};
use tallystick_crypto::hpke::{Kem, SealingKey};
use tallystick_crypto::key_store::{KeyAlgorithm, KeyPurpose, StoredSigner};
use tallystick_crypto::standard_signature::{Curve, StandardKey};
use tallystick_crypto::{KeyStore as _, SoftwareKeyStore};
use tallystick_kernel::limits::PROVISIONING_STARTS_PER_MINUTE_MAX;
use tallystick_kernel::{Codec as _, DurationMs, Reason, TimeMs, hex};
use tallystick_proofs::device_code::SharedKeyId;
use tallystick_provisioner::device_code::{GUESSES_PER_ACCOUNT_ALARM, GUESSES_PER_KEY_ALARM};
use tallystick_provisioner::request::REQUEST_BYTES_MAX;
use tallystick_provisioner::{
    Guesses, Request, RiskPolicy, Signals, Start, complete, release, start,
};
use tallystick_store::{Batch, Kind, Store, retry_conflicts};

pub use self::config_file::{ProvisionerConfig, RiskConfig};
use super::RoleArgs;
use super::issuer::config::{CREDENTIAL_KEY, SHARED_KEY};
use super::pages::{Frame, for_browsers};
use crate::config;
use crate::console::layout::Place;
use crate::data_folder::DataFolder;
use crate::failure::Failure;
use crate::http::access::ClientAddress;
use crate::http::api_keys::ApiKeys;
use crate::http::gate::Caller;
use crate::http::idempotency::WriteKey;
use crate::http::rate_limit::RateLimit;
use crate::http::{Gate, JsonBody, Refusal, Routes, path_value, server};
use crate::key_file::KeyFile;
use crate::machine_key::MachineKey;
use crate::source;
use crate::stored::sweeping::{DAY_INDEX, SWEEP_PERIOD, day, sweep_ended};
use crate::stored::{StoredAnswers, StoredReplays};
use crate::up::MACHINE_KEY_FILE;
use crate::up::founding::{self, Network};
use crate::up::plan::{Role, beside};

/// Requests by id; index `day` of their expiry.
const REQUEST: Kind = Kind("request");
/// Counters by what is counted and the day; index `day`.
const COUNTER: Kind = Kind("counter");
/// Devices by their key's thumbprint: when each was first seen.
const DEVICE: Kind = Kind("device");
/// The key that device codes come from.
const CODE_KEY: &str = "device-code";
const CONFLICTS_MAX: u32 = 16;

/// What the handlers share.
pub struct Provisioner {
    store: Store,
    keys: SoftwareKeyStore,
    shared_key_id: SharedKeyId,
    policy: RiskPolicy,
    starts: RateLimit<IpAddr>,
}

type App = Arc<Provisioner>;

/// A counter as it was read: its record's key, its version, its count.
struct Counted {
    key: Vec<u8>,
    day: Vec<u8>,
    version: u64,
    count: u64,
}

impl Counted {
    /// Adds one to it within a batch.
    fn bump(&self, batch: Batch) -> Batch {
        let bytes = (self.count + 1).to_be_bytes();
        batch.put(COUNTER, self.key.clone(), self.version, bytes, &[(DAY_INDEX, self.day.clone())])
    }

    fn small(&self) -> u32 {
        u32::try_from(self.count).unwrap_or(u32::MAX)
    }
}

impl Provisioner {
    /// How often something happened today.
    async fn counted(&self, what: &str, of: &[u8], at: TimeMs) -> Result<Counted, Reason> {
        let day = day(at);
        let key = [what.as_bytes(), b"/", of, &day].concat();
        let found = self.store.read(COUNTER, &key).await?;
        let Some(record) = found else { return Ok(Counted { key, day, version: 0, count: 0 }) };
        let count = record.bytes.try_into().map_err(|_| Reason::StorageCorrupt)?;
        Ok(Counted { key, day, version: record.version, count: u64::from_be_bytes(count) })
    }

    /// When a device was first seen, before now.
    async fn first_seen(&self, thumbprint: &[u8]) -> Result<Option<TimeMs>, Reason> {
        let Some(record) = self.store.read(DEVICE, thumbprint).await? else { return Ok(None) };
        let time = record.bytes.try_into().map_err(|_| Reason::StorageCorrupt)?;
        Ok(Some(TimeMs(u64::from_be_bytes(time))))
    }

    async fn request(&self, id: &[u8; 16]) -> Result<(u64, Request), Reason> {
        let record = self.store.read(REQUEST, id).await?.ok_or(Reason::DeviceCodeUnknown)?;
        let request = Request::from_bytes(&record.bytes, REQUEST_BYTES_MAX);
        Ok((record.version, request.map_err(|_| Reason::StorageCorrupt)?))
    }

    async fn begin(&self, asked: Start, at: TimeMs) -> Result<Request, Reason> {
        if let Ok((_, request)) = self.request(&asked.id).await {
            return Ok(request);
        }
        let thumbprint = asked.thumbprint;
        let pair = [&thumbprint[..], &asked.account.0].concat();
        let account_starts = self.counted("account-starts", &pair, at).await?;
        let device_starts = self.counted("device-starts", &thumbprint, at).await?;
        let request = start(&self.keys, CODE_KEY, self.shared_key_id, asked, at)?;
        let ends = [(DAY_INDEX, day(request.carried.expiry))];
        let mut batch = Batch::new()
            .put(REQUEST, request.id, 0, request.to_bytes(), &ends)
            .audit(at, format!("request {}", hex::encode(&request.id)));
        batch = device_starts.bump(account_starts.bump(batch));
        if self.first_seen(&thumbprint).await?.is_none() {
            batch = batch.put(DEVICE, thumbprint, 0, at.0.to_be_bytes(), &[]);
        }
        self.store.write(batch).await?;
        Ok(request)
    }

    /// Judges a code and stores what became of it; the request, if it was released.
    async fn judge(
        &self,
        id: &[u8; 16],
        thumbprint: &[u8; 32],
        code: &str,
        at: TimeMs,
    ) -> Result<Request, Reason> {
        let (version, request) = self.request(id).await?;
        let of_account = self.counted("account-guesses", &request.account.0, at).await?;
        let of_device = self.counted("device-guesses", thumbprint, at).await?;
        let of_key = self.counted("key-guesses", &request.carried.key_id.0, at).await?;
        let guesses = Guesses { device: of_device.small(), key: of_key.small() };
        let pair = [&thumbprint[..], &request.account.0].concat();
        let signals = Signals {
            account_requests: self.counted("account-starts", &pair, at).await?.count,
            device_requests: self.counted("device-starts", thumbprint, at).await?.count,
            wrong_codes: of_device.count,
            device_first_seen: self.first_seen(thumbprint).await?,
        };
        let shared = (request.carried.key_id == self.shared_key_id).then_some(SHARED_KEY);
        let today = (guesses, signals);
        let done =
            complete(&self.keys, shared, &self.policy, &request, thumbprint, code, today, at)?;
        let event = format!("code for {}: {:?}", hex::encode(id), done.outcome);
        let ends = [(DAY_INDEX, day(request.carried.expiry))];
        let mut batch =
            Batch::new().put(REQUEST, *id, version, done.next.to_bytes(), &ends).audit(at, event);
        if done.counts {
            for (what, counted, alarm) in [
                ("account", &of_account, GUESSES_PER_ACCOUNT_ALARM),
                ("shared key", &of_key, GUESSES_PER_KEY_ALARM),
            ] {
                if counted.count + 1 == alarm {
                    tracing::warn!(
                        what,
                        alarm,
                        request = hex::encode(id),
                        "many wrong codes today"
                    );
                    batch = batch.audit(at, format!("alarm: {alarm} wrong codes of one {what}"));
                }
            }
            batch = of_key.bump(of_device.bump(of_account.bump(batch)));
        }
        self.store.write(batch).await?;
        done.outcome.map(|()| done.next)
    }

    /// Removes what is not needed any longer: for requests and counters, a day after their end.
    async fn sweep(&self, now: TimeMs) -> Result<(), Reason> {
        self.store.sweep(now).await?;
        sweep_ended(&self.store, REQUEST, now).await?;
        sweep_ended(&self.store, COUNTER, now).await
    }

    fn sealed(&self, request: &Request, at: TimeMs) -> Result<Vec<u8>, Reason> {
        let signer = StoredSigner::new(&self.keys, CREDENTIAL_KEY, KeyPurpose::Internal)?;
        release(request, &signer, source::random()?, source::random()?, at)
    }
}

/// Every endpoint of a provisioner.
pub fn routes(gate: Gate) -> Routes<Arc<Provisioner>> {
    Routes::new(gate)
        .add(operations::READYZ, ready)
        .add(operations::OPENAPI, super::openapi("provisioner"))
        .add(endpoints::KEYS, keys)
        .add(endpoints::START, begin)
        .add(endpoints::COMPLETE, hand_in)
}

async fn sweep_hourly(app: App) {
    loop {
        if let Err(reason) = app.sweep(source::now()).await {
            tracing::warn!(%reason, "what has expired could not be swept");
        }
        tokio::time::sleep(SWEEP_PERIOD).await;
    }
}

fn start_limit() -> RateLimit<IpAddr> {
    RateLimit::new(DurationMs::minutes(1), PROVISIONING_STARTS_PER_MINUTE_MAX)
}

async fn ready(State(app): State<App>) -> Result<&'static str, Refusal> {
    app.store.read(REQUEST, b"none").await?;
    Ok("ready\n")
}

async fn keys(State(app): State<App>) -> Result<Json<ProvisionerKeys>, Refusal> {
    let credential_key = app.keys.public_key(CREDENTIAL_KEY)?.to_string();
    Ok(Json(ProvisionerKeys { credential_key }))
}

async fn begin(
    State(app): State<App>,
    caller: Caller,
    Extension(key): Extension<WriteKey>,
    address: Option<Extension<ClientAddress>>,
    JsonBody(body): JsonBody<ProvisioningRequest>,
) -> Result<Json<ProvisioningStarted>, Refusal> {
    let device = caller.require_device()?;
    if let Some(Extension(address)) = address {
        app.starts.count(address.counted_as(), source::now()).check()?;
    }
    let field = |name: &'static str| move |reason| Problem::new(reason).field(name);
    let sized = |bytes: Vec<u8>| bytes.try_into().map_err(|_| Reason::FieldInvalid);
    let device_digest: [u8; 32] = body
        .device_digest
        .0
        .try_into()
        .map_err(|_| field("device_digest")(Reason::FieldInvalid))?;
    let id = hex::decode(&key.0)?;
    let asked = Start {
        id: id.get(..16).and_then(|id| id.try_into().ok()).ok_or(Reason::Internal)?,
        account: body.account,
        device_key: StandardKey::new(Curve::P256, &device.public_point)?.to_public_key()?,
        thumbprint: device.thumbprint,
        device_kind: body.device_kind,
        device_digest,
        nonce: sized(body.nonce.0).map_err(field("nonce"))?,
        sealing_key: SealingKey::new(Kem::X25519, &body.sealing_key.0)
            .map_err(field("sealing_key"))?,
        device_name: body.device_name,
    };
    let at = source::now();
    let request = retry_conflicts(CONFLICTS_MAX, || app.begin(asked.clone(), at)).await?;
    Ok(Json(ProvisioningStarted {
        id: hex::encode(&request.id),
        device_code: request.carried.device_code.to_string(),
        request: request.carried.to_text(),
        expiry_ms: request.carried.expiry.0,
    }))
}

async fn hand_in(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<AuthorizationCodeRequest>,
) -> Result<Json<ReleasedCredential>, Refusal> {
    let thumbprint = caller.require_device()?.thumbprint;
    let id: RequestId = path_value("id", &id)?;
    let at = source::now();
    let code = &body.authorization_code;
    let judged = retry_conflicts(CONFLICTS_MAX, || app.judge(&id.0, &thumbprint, code, at));
    let request = judged.await?;
    Ok(Json(ReleasedCredential { sealed: tallystick_api::Bytes(app.sealed(&request, at)?) }))
}

/// The id of a request in a path.
struct RequestId([u8; 16]);

impl core::str::FromStr for RequestId {
    type Err = Reason;

    fn from_str(text: &str) -> Result<RequestId, Reason> {
        let bytes = hex::decode(text)?.try_into().map_err(|_| Reason::HexMalformed)?;
        Ok(RequestId(bytes))
    }
}

/// Runs a provisioner until it is told to stop.
pub fn run(args: &RoleArgs) -> Result<(), Failure> {
    let runtime = super::begin(args, "provisioner")?;
    let file = args.config_file()?;
    let config: ProvisionerConfig = config::load(file, &args.flags())?;
    let folder = DataFolder::open(&config::relative_to(file, &config.data), "provisioner")?;
    let machine_key = MachineKey::read(&config::relative_to(file, &config.machine_key))?;
    let mut keys = KeyFile::open(folder.path(), &machine_key)?;
    keys.ensure(CODE_KEY, KeyPurpose::SharedCode, KeyAlgorithm::HmacSha256)?;
    keys.ensure(CREDENTIAL_KEY, KeyPurpose::Internal, KeyAlgorithm::Ed25519)?;
    let shared = hex::decode(&config.shared_key_id)?;
    let shared_key_id = SharedKeyId(shared.try_into().map_err(|_| Reason::HexMalformed)?);
    let listen = config.listen;
    runtime.block_on(async {
        let listener = server::bind(listen).await?;
        let url = super::database_url(config.database.as_deref(), &folder);
        let store = Store::open(&url, "provisioner").await?;
        let gate = Gate {
            public_url: format!("http://{listen}"),
            api_keys: ApiKeys::new(config.api_keys)?,
            replays: Some(Arc::new(StoredReplays::new(store.clone()))),
            answers: Some(Arc::new(StoredAnswers::new(store.clone()))),
            ..Gate::default()
        };
        let (keys, policy) = (keys.into_store(), config.risk.into());
        let app =
            Arc::new(Provisioner { store, keys, shared_key_id, policy, starts: start_limit() });
        let upkeep = tokio::spawn(sweep_hourly(Arc::clone(&app)));
        tracing::info!(%listen, "provisioner serves");
        let frame = Frame { place: Place::Provisioner, links: config.console };
        let router = pages::routes(routes(gate), frame.clone()).into_router(app);
        let router = for_browsers(router, frame);
        server::serve(listener, router, server::stop_signal()).await;
        upkeep.abort();
        tracing::info!("provisioner stopped");
        Ok(())
    })
}

/// The provisioner of a local network. The key that it shares with the issuer is there already.
pub fn plan(folder: &FilePath, network: &Network, shared_key_id: &str) -> Result<Role, Failure> {
    let config = ProvisionerConfig {
        listen: network.shape.provisioner(),
        data: PathBuf::from("."),
        machine_key: beside(MACHINE_KEY_FILE),
        database: None,
        shared_key_id: shared_key_id.to_owned(),
        risk: RiskPolicy::default().into(),
        api_keys: founding::maintenance_keys(folder)?,
        console: network.shape.pages(),
    };
    Ok(Role {
        name: "provisioner".to_owned(),
        command: "provisioner",
        http: config.listen,
        folder: folder.join("provisioner"),
        config: toml::to_string(&config).map_err(|_| Reason::Internal)?,
    })
}

#[cfg(test)]
mod tests {
    use tallystick_crypto::SigningKey;
    use tallystick_crypto::software_key_store::Unlock;
    use tallystick_proofs::authorization_code::{Decision, make};

    use super::*;

    #[test]
    fn a_provisioner_serves_every_endpoint_of_its_interface() {
        let served: Vec<&str> = routes(Gate::default()).operations().iter().map(|o| o.id).collect();
        let described: Vec<&str> = endpoints::ALL.iter().map(|o| o.id).collect();
        assert_eq!(served, described);
    }

    const NOW: TimeMs = TimeMs(1_800_000_000_000);

    async fn provisioner(folder: &FilePath) -> Provisioner {
        let url = format!("sqlite:{}", folder.join("party.db").display());
        let mut keys = SoftwareKeyStore::new(Unlock::Machine(&[1; 32]), &[0; 16]).unwrap();
        for name in [SHARED_KEY, CODE_KEY] {
            let (purpose, algorithm) = (KeyPurpose::SharedCode, KeyAlgorithm::HmacSha256);
            keys.import(name, purpose, algorithm, &[name.len() as u8; 32]).unwrap();
        }
        Provisioner {
            store: Store::open(&url, "provisioner").await.unwrap(),
            keys,
            shared_key_id: SharedKeyId([1; 8]),
            policy: RiskPolicy::default(),
            starts: start_limit(),
        }
    }

    /// What a device asks for the same account.
    fn asked(device: u8) -> Start {
        Start {
            id: [device; 16],
            account: tallystick_kernel::AccountId([6; 32]),
            device_key: SigningKey::p256_from_scalar(&[4; 32]).unwrap().public_key(),
            thumbprint: [device; 32],
            device_kind: "phone".to_owned(),
            device_digest: [7; 32],
            nonce: [device; 16],
            sealing_key: SealingKey::new(Kem::X25519, &[9; 32]).unwrap(),
            device_name: "phone".to_owned(),
        }
    }

    #[tokio::test]
    async fn requests_and_wrong_codes_of_strangers_do_not_lock_the_holder_out() {
        let folder = tempfile::tempdir().unwrap();
        let app = provisioner(folder.path()).await;
        let owner = app.begin(asked(1), NOW).await.unwrap();
        let code = make(&app.keys, SHARED_KEY, &owner.carried, Decision::Approve, NOW).unwrap();
        for stranger in 2..32 {
            app.begin(asked(stranger), NOW).await.unwrap();
            let (id, device) = ([stranger; 16], [stranger; 32]);
            for _ in 0..4 {
                let judged = app.judge(&id, &device, &code.to_string(), NOW).await;
                assert_eq!(judged, Err(Reason::AuthorizationCodeWrong));
            }
        }
        let alarms = app.store.audit(0, 1000).await.unwrap();
        let alarms = alarms.iter().filter(|entry| entry.event.starts_with(b"alarm"));
        assert_eq!(alarms.count(), 1, "120 wrong codes for one account");
        let judged = app.judge(&[1; 16], &[1; 32], &code.to_string(), NOW).await;
        assert!(judged.is_ok(), "{judged:?}");
    }

    #[tokio::test]
    async fn requests_and_counters_are_swept_when_they_ended_more_than_a_day_ago() {
        let folder = tempfile::tempdir().unwrap();
        let app = provisioner(folder.path()).await;
        let end = app.begin(asked(1), NOW).await.unwrap().carried.expiry;
        let day = DurationMs::minutes(24 * 60);
        app.sweep(end.after(day)).await.unwrap();
        assert!(app.request(&[1; 16]).await.is_ok());
        assert_eq!(app.counted("device-starts", &[1; 32], NOW).await.unwrap().count, 1);
        app.sweep(end.after(day).after(day)).await.unwrap();
        assert_eq!(app.request(&[1; 16]).await, Err(Reason::DeviceCodeUnknown));
        assert_eq!(app.counted("device-starts", &[1; 32], NOW).await.unwrap().count, 0);
    }
}

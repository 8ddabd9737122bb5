//! The issuer's certificate authority: one root, certificates of devices, the revocation list.

use tallystick_crypto::PublicKey;
use tallystick_crypto::key_store::Signer;
use tallystick_kernel::{Codec, DurationMs, HolderId, Reader, Reason, TimeMs, Writer};
use tallystick_proofs::certificate_issue::{self, Contents, Lifetime};
use tallystick_proofs::x509_certificate::X509Certificate;

/// How long the root certificate is valid.
pub const ROOT_LIFE: DurationMs = DurationMs::minutes(10 * 365 * 24 * 60);
/// How long a device's certificate is valid.
pub const DEVICE_LIFE: DurationMs = DurationMs::minutes(90 * 24 * 60);
/// How long a revocation list is current.
pub const REVOCATION_LIST_LIFE: DurationMs = DurationMs::minutes(24 * 60);
/// How long before its end a revocation list is made anew.
pub const REVOCATION_LIST_EARLY: DurationMs = DurationMs::minutes(12 * 60);
/// Bytes of a stored certificate at most.
pub const CERTIFICATE_RECORD_BYTES_MAX: usize = 20 * 1024;

/// A device's certificate as the issuer keeps it. The record's key is the serial number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCertificate {
    /// Its serial number: the magnitude, as certificates and lists hold it.
    pub serial: Vec<u8>,
    /// Whose device it is.
    pub holder: HolderId,
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// When it was revoked.
    pub revoked: Option<TimeMs>,
    /// What kind of device asked for it, for people; empty where that is not known.
    pub device: String,
}

/// Bytes of a device's kind at most.
pub const DEVICE_KIND_BYTES_MAX: usize = 64;

/// Makes the root certificate; `serial` is random.
pub fn root(
    name: &str,
    serial: [u8; 16],
    now: TimeMs,
    signer: &dyn Signer,
) -> Result<Vec<u8>, Reason> {
    let lifetime = Lifetime { not_before: now, not_after: now.after(ROOT_LIFE) };
    let organization = Some("Tallystick issuer");
    let contents = Contents { common_name: name, organization, serial, lifetime };
    certificate_issue::authority(contents, 0, signer)
}

/// Certifies a device's key for an account token; `serial` is random.
pub fn device(
    token: &str,
    key: &PublicKey,
    holder: HolderId,
    root: &X509Certificate,
    serial: [u8; 16],
    now: TimeMs,
    signer: &dyn Signer,
) -> Result<DeviceCertificate, Reason> {
    let not_after = now.after(DEVICE_LIFE).min(root.not_after());
    let lifetime = Lifetime { not_before: now, not_after };
    let contents = Contents { common_name: token, organization: None, serial, lifetime };
    let der = certificate_issue::device(contents, key, root, signer)?;
    let serial = X509Certificate::read(&der)?.serial().to_vec();
    Ok(DeviceCertificate { serial, holder, der, revoked: None, device: String::new() })
}

/// Makes the list of all revoked certificates. Its number is the second in which it is made, so it
/// rises as long as the clock does.
pub fn revocation_list(
    root: &X509Certificate,
    revoked: &[(Vec<u8>, TimeMs)],
    now: TimeMs,
    signer: &dyn Signer,
) -> Result<Vec<u8>, Reason> {
    let lifetime = Lifetime { not_before: now, not_after: now.after(REVOCATION_LIST_LIFE) };
    certificate_issue::revocation_list(root, now.unix_seconds(), lifetime, revoked, signer)
}

impl Codec for DeviceCertificate {
    fn encode(&self, out: &mut Writer) {
        out.array(6).u64(VERSION).bytes(&self.serial).value(&self.holder).bytes(&self.der);
        out.option(self.revoked.as_ref()).text(&self.device);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        // The first version did not tell the device.
        let has_device = match (input.array(6)?, input.u64()?) {
            (5, 1) => false,
            (6, VERSION) => true,
            _ => return Err(Reason::VersionUnknown),
        };
        Ok(DeviceCertificate {
            serial: input.bytes(20)?.to_vec(),
            holder: HolderId::decode(input)?,
            der: input.bytes(CERTIFICATE_RECORD_BYTES_MAX)?.to_vec(),
            revoked: input.option()?,
            device: match has_device {
                true => input.text(DEVICE_KIND_BYTES_MAX)?.to_owned(),
                false => String::new(),
            },
        })
    }
}

const VERSION: u64 = 2;

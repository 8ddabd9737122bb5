//! What tills verify codes with, offline: files in the merchant's data folder, kept fresh here.
//!
//! `trust/anchors/*.der` (issuers' root certificates), `trust/lists/*.crl` (their revocation
//! lists), `trust/chains/<key id>` (chains of codes of first contact, each certificate with its
//! length before it).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use tallystick_kernel::{Reader, Reason, TimeMs, Writer, hex};
use tallystick_merchant::payment_code::{CHAINS_MAX, TillTrust};
use tallystick_proofs::payment_code::{Chain, KeyId, VerifiedCode};
use tallystick_proofs::revocation_list::{REVOCATION_LIST_BYTES_MAX, RevocationList};
use tallystick_proofs::x509_certificate::CERTIFICATE_BYTES_MAX;
use tallystick_proofs::x509_chain::TrustAnchors;

use super::{App, Merchant};
use crate::data_folder::{create_private, read_bounded, write_atomically};
use crate::failure::Failure;
use crate::source;

/// How often the issuer is asked for its list, and how soon again when it was away.
const PERIOD: Duration = Duration::from_secs(300);
const AGAIN: Duration = Duration::from_millis(200);

/// Reads what a data folder holds.
///
/// Fails with [`Reason::ChainUntrusted`] when there is no anchor yet, and for files that hold
/// something else.
pub fn read(folder: &Path) -> Result<TillTrust, Failure> {
    let trust = folder.join("trust");
    let mut anchors = Vec::new();
    for path in files(&trust.join("anchors"))? {
        anchors.push(read_bounded(&path, CERTIFICATE_BYTES_MAX)?);
    }
    if anchors.is_empty() {
        return Err(Failure::new(Reason::ChainUntrusted)
            .cause(format!("{} holds no issuer's certificate", trust.join("anchors").display()))
            .next_step("run the merchant role once while the issuer can be reached"));
    }
    let mut revocation = Vec::new();
    for path in files(&trust.join("lists"))? {
        revocation.push(RevocationList::read(&read_bounded(&path, REVOCATION_LIST_BYTES_MAX)?)?);
    }
    let mut known = BTreeMap::new();
    for path in files(&trust.join("chains"))?.into_iter().take(CHAINS_MAX) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let id = hex::decode(name).ok().and_then(|id| id.try_into().ok());
        // Other files are none of ours.
        let Some(id) = id else { continue };
        known.insert(KeyId(id), read_chain(&read_bounded(&path, CHAIN_BYTES_MAX)?)?);
    }
    Ok(TillTrust { anchors: TrustAnchors::read(&anchors)?, revocation, known })
}

impl Merchant {
    /// What codes are verified with now.
    pub fn trust(&self) -> Option<TillTrust> {
        self.trust.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers the chain of a code that verified, for later codes and for tills.
    pub fn learn(&self, code: &VerifiedCode) -> Result<(), Failure> {
        let mut trust = self.trust.write().unwrap_or_else(PoisonError::into_inner);
        if trust.as_mut().is_some_and(|trust| trust.learn(code)) {
            let chains = self.folder.join("trust").join("chains");
            create_private(&chains)?;
            let path = chains.join(hex::encode(&code.key_id.0));
            write_atomically(&path, &write_chain(&code.chain), 0o600)?;
        }
        Ok(())
    }

    async fn refresh(&self) -> Result<(), Failure> {
        let chain = self.issuer.ca().await?;
        let list = self.issuer.crl().await?;
        let root = chain.certificates.last().ok_or(Reason::AnswerMalformed)?;
        let trust = self.folder.join("trust");
        for folder in ["anchors", "lists", "chains"] {
            create_private(&trust.join(folder))?;
        }
        // The issuer is configured, and its root is pinned at the first contact: another one later
        // is refused.
        let anchor = trust.join("anchors").join("issuer.der");
        match anchor.exists() {
            true if read_bounded(&anchor, CERTIFICATE_BYTES_MAX)? != root.0 => {
                return Err(Failure::new(Reason::ChainUntrusted)
                    .cause("the issuer shows another root certificate than before"));
            }
            true => {}
            false => write_atomically(&anchor, &root.0, 0o600)?,
        }
        RevocationList::read(&list)?;
        write_atomically(&trust.join("lists").join("issuer.crl"), &list, 0o600)?;
        let fresh = read(&self.folder)?;
        *self.trust.write().unwrap_or_else(PoisonError::into_inner) = Some(fresh);
        Ok(())
    }
}

/// Keeps the files fresh until the process ends.
pub async fn keep_fresh(app: App) {
    loop {
        let pause = match app.refresh().await {
            Ok(()) => PERIOD,
            Err(failure) => {
                tracing::warn!(%failure, at = %TimeMs(source::now().0), "trust is not refreshed");
                if app.trust().is_some() { PERIOD / 10 } else { AGAIN }
            }
        };
        tokio::time::sleep(pause).await;
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).map_err(|error| Failure::file(folder, &error))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    Ok(files)
}

fn write_chain(chain: &Chain) -> Vec<u8> {
    let mut out = Writer::new();
    out.array(chain.len());
    for certificate in chain {
        out.bytes(certificate);
    }
    out.finish()
}

fn read_chain(bytes: &[u8]) -> Result<Chain, Reason> {
    let mut input = Reader::new(bytes);
    let length = input.array(CERTIFICATES_MAX)?;
    (0..length).map(|_| Ok(input.bytes(CERTIFICATE_BYTES_MAX)?.to_vec())).collect()
}

const CERTIFICATES_MAX: usize = 8;
const CHAIN_BYTES_MAX: usize = CERTIFICATES_MAX * CERTIFICATE_BYTES_MAX;

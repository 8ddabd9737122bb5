//! `tally issuer ca`: the issuer's root certificate and revocation list as files for others.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tallystick_kernel::Reason;
use tallystick_kernel::hash::sha256;
use tallystick_proofs::x509_certificate::X509Certificate;

use super::operator::Operator;
use crate::commands::block_on;
use crate::data_folder::write_atomically;
use crate::failure::Failure;
use crate::output::Output;
use crate::source;

/// `tally issuer ca`.
#[derive(Debug, Args)]
pub struct CaArgs {
    /// The issuer's data folder.
    #[arg(long, value_name = "DIR", default_value = ".tally/issuer")]
    data: PathBuf,
    /// Write the root certificate here (DER).
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Write the revocation list here (DER).
    #[arg(long, value_name = "FILE")]
    revocation_list: Option<PathBuf>,
    /// First revoke the device certificate with this serial number (hexadecimal).
    #[arg(long, value_name = "SERIAL")]
    revoke: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    subject: String,
    fingerprint_sha256: String,
    expiry_ms: u64,
}

/// Runs the command.
pub fn run(args: &CaArgs, output: Output) -> Result<(), Failure> {
    let operator = Operator::open(&args.data)?;
    let (root, list) = block_on(async {
        if let Some(serial) = &args.revoke {
            operator.issuer.revoke(serial, &source::idempotency_key()?).await?;
        }
        let chain = operator.issuer.ca().await?;
        let root = chain.certificates.into_iter().next_back().ok_or(Reason::AnswerMalformed)?;
        Ok((root.0, operator.issuer.crl().await?))
    })?;
    if let Some(path) = &args.certificate {
        write_atomically(path, &root, 0o644)?;
    }
    if let Some(path) = &args.revocation_list {
        write_atomically(path, &list, 0o644)?;
    }
    let certificate = X509Certificate::read(&root)?;
    let shown = Shown {
        subject: certificate.subject_text(),
        fingerprint_sha256: tallystick_kernel::hex::encode(&sha256(&root)),
        expiry_ms: certificate.not_after().0,
    };
    output.show(&shown, |shown| {
        let until = crate::clock_text::utc(shown.expiry_ms);
        format!("{}\nsha256 {}\nuntil  {until}", shown.subject, shown.fingerprint_sha256)
    });
    Ok(())
}

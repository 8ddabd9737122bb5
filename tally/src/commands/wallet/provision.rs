//! `tally wallet provision`: from a device code to a certified device key (capability 1).

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tallystick_api::Bytes;
use tallystick_api::issuer::CertificateRequest;
use tallystick_api::provisioner::{
    AuthorizationCodeRequest, ProvisionerClient, ProvisioningRequest,
};
use tallystick_crypto::KeyStore as _;
use tallystick_kernel::{Reason, hex};
use tallystick_proofs::certificate_request;
use tallystick_proofs::device_code::device_digest;
use tallystick_proofs::x509_certificate::X509Certificate;
use tallystick_wallet::{Provisioning, device_code};

use super::folder::{OPENING_KEY, Wallet, proving};
use crate::commands::block_on;
use crate::data_folder::write_atomically;
use crate::failure::Failure;
use crate::output::Output;
use crate::source;

/// `tally wallet provision`.
#[derive(Debug, Args)]
pub struct ProvisionArgs {
    /// The wallet's data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// First step: ask the provisioner, and write here what the issuer must see.
    #[arg(long, value_name = "FILE", conflicts_with = "authorization_code")]
    request: Option<PathBuf>,
    /// A name for people, by which the holder recognises the device.
    #[arg(long, value_name = "NAME", default_value = "tally wallet")]
    device_name: String,
    /// Second step: the code that the issuer showed.
    #[arg(long, value_name = "CODE")]
    authorization_code: Option<String>,
}

#[derive(Serialize)]
struct Asked {
    device_code: String,
    request: String,
    expiry_ms: u64,
}

#[derive(Serialize)]
struct Certified {
    account_token: String,
    serial: String,
    expiry_ms: u64,
}

/// Runs the command.
pub fn run(args: &ProvisionArgs, output: Output) -> Result<(), Failure> {
    let mut wallet = Wallet::open(&args.data)?;
    if let Some(file) = &args.request {
        let asked = block_on(ask(&mut wallet, &args.device_name))?;
        write_atomically(file, format!("{}\n", asked.request).as_bytes(), 0o600)?;
        output.show(&asked, |asked| {
            let file = file.display();
            format!(
                "device code  {}\nrequest      {file}\nnext: show it to your issuer, \
                 tally issuer approve --network NETWORK --holder NAME --request {file}",
                asked.device_code
            )
        });
        return Ok(());
    }
    block_on(async {
        if let Some(code) = &args.authorization_code {
            hand_in(&mut wallet, code).await?;
        }
        certify(&mut wallet).await
    })?;
    let certificate = X509Certificate::read(wallet.state.chain.first().ok_or(Reason::Internal)?)?;
    let certified = Certified {
        account_token: wallet.state.token.clone().unwrap_or_default(),
        serial: hex::encode(certificate.serial()),
        expiry_ms: certificate.not_after().0,
    };
    output.show(&certified, |certified| {
        let until = crate::clock_text::utc(certified.expiry_ms);
        format!("certified until {until}, serial {}", certified.serial)
    });
    Ok(())
}

async fn ask(wallet: &mut Wallet, device_name: &str) -> Result<Asked, Failure> {
    let account = wallet.state.require_account()?;
    let nonce = source::random::<16>()?;
    // The secure element is named by its key; a phone would give its number or IMEI here.
    let identifier = wallet.device_key()?.to_string();
    let request = ProvisioningRequest {
        account,
        device_kind: DEVICE_KIND.to_owned(),
        device_digest: Bytes(device_digest(DEVICE_KIND, &identifier, &nonce).to_vec()),
        nonce: Bytes(nonce.to_vec()),
        sealing_key: Bytes(wallet.keys.sealing_key(OPENING_KEY)?.bytes().to_vec()),
        device_name: device_name.to_owned(),
    };
    let ProvisionerClient(client) = wallet.network.provisioner()?;
    let provisioner = ProvisionerClient(proving(client, wallet)?);
    let started = provisioner.start(&request, &source::idempotency_key()?).await?;
    wallet.state.provisioning =
        Some(Provisioning { id: started.id, request: started.request.clone(), credential: None });
    wallet.save()?;
    Ok(Asked {
        device_code: started.device_code,
        request: started.request,
        expiry_ms: started.expiry_ms,
    })
}

async fn hand_in(wallet: &mut Wallet, code: &str) -> Result<(), Failure> {
    let none = || {
        Failure::new(Reason::DeviceCodeUnknown)
            .next_step("begin with tally wallet provision --request FILE")
    };
    let mut pending = wallet.state.provisioning.clone().ok_or_else(none)?;
    let ProvisionerClient(client) = wallet.network.provisioner()?;
    let provisioner = ProvisionerClient(proving(client, wallet)?);
    let key = provisioner.keys().await?.credential_key.parse()?;
    let body = AuthorizationCodeRequest { authorization_code: code.to_owned() };
    let released = provisioner.complete(&pending.id, &body).await?;
    let id = hex::decode(&pending.id)?.try_into().map_err(|_| Reason::AnswerMalformed)?;
    let credential = device_code::open(
        wallet.keys.as_ref(),
        OPENING_KEY,
        &released.sealed.0,
        &id,
        &key,
        &wallet.state.require_account()?,
        &wallet.device_key()?,
        source::now(),
    )?;
    pending.credential = Some(credential);
    wallet.state.provisioning = Some(pending);
    wallet.save()
}

async fn certify(wallet: &mut Wallet) -> Result<(), Failure> {
    let pending = wallet.state.provisioning.as_ref();
    let credential = pending.and_then(|pending| pending.credential.clone()).ok_or_else(|| {
        Failure::new(Reason::DeviceCodeUnknown)
            .cause("there is no credential yet")
            .next_step("hand in the issuer's code with --authorization-code CODE")
    })?;
    let token = wallet.state.token.clone().ok_or(Reason::AccountNotLinked)?;
    let request = certificate_request::make(&token, &wallet.device_signer()?)?;
    let body = CertificateRequest { request: Bytes(request), credential: Bytes(credential) };
    let issuer = wallet.issuer_device()?;
    let chain = issuer.certify(&body, &source::idempotency_key()?).await?;
    wallet.state.chain = chain.certificates.into_iter().map(|bytes| bytes.0).collect();
    wallet.state.provisioning = None;
    wallet.save()
}

const DEVICE_KIND: &str = "secure_element";

//! `tally wallet code`: a payment code in the terminal or as an image (capability 5). Needs no
//! network.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tallystick_kernel::Reason;
use tallystick_kernel::limits::PAYMENT_CODE_LIFE_MAX;
use tallystick_proofs::payment_code;

use super::folder::Wallet;
use crate::commands::amount::AmountShown;
use crate::data_folder::write_atomically;
use crate::failure::Failure;
use crate::output::Output;
use crate::qr::{self, ImageKind};
use crate::source;

/// `tally wallet code`.
#[derive(Debug, Args)]
pub struct CodeArgs {
    /// The wallet's data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Bind the code to this amount; without it the issuer's cap applies.
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
    amount: Option<String>,
    /// Carry the device's certificate, for a merchant who does not know it yet.
    #[arg(long)]
    first_contact: bool,
    /// Write the code as an image; the extension says which: png, jpg or jpeg.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
}

#[derive(Serialize)]
struct Shown {
    code: String,
    expiry_ms: u64,
    counter: u64,
    #[serde(flatten)]
    amount: Option<AmountShown>,
    image: Option<String>,
}

/// Runs the command.
pub fn run(args: &CodeArgs, output: Output) -> Result<(), Failure> {
    let image = match args.image.as_deref() {
        Some(path) => Some((path, image_kind(path)?)),
        None => None,
    };
    let mut wallet = Wallet::open(&args.data)?;
    let amount = match &args.amount {
        Some(text) => Some((wallet.network.currency, wallet.network.amount(text)?)),
        None => None,
    };
    let (id, now) = (source::random()?, source::now());
    let next = tallystick_wallet::payment_code::next(
        &wallet.state,
        id,
        amount,
        PAYMENT_CODE_LIFE_MAX,
        now,
    );
    let (state, claims) = next.map_err(|reason| {
        Failure::new(reason)
            .cause("this device is not certified")
            .next_step("certify it with tally wallet provision")
    })?;
    // The counter is durable before the code leaves.
    wallet.state = state;
    wallet.save()?;
    let leaf = wallet.state.chain.get(..1).map(<[Vec<u8>]>::to_vec);
    let chain = leaf.filter(|_| args.first_contact);
    let code = payment_code::make(&claims, &wallet.device_signer()?, chain.as_ref())?;
    if let Some((path, kind)) = image {
        write_atomically(path, &qr::to_image(&code, kind)?, 0o600)?;
    }
    let shown = Shown {
        expiry_ms: claims.expires.0,
        counter: claims.counter,
        amount: amount.map(|(_, amount)| wallet.network.shown(amount)),
        image: args.image.as_ref().map(|path| path.display().to_string()),
        code,
    };
    let drawn = qr::to_terminal(&shown.code)?;
    output.show(&shown, |shown| {
        let until = crate::clock_text::utc(shown.expiry_ms);
        match &shown.image {
            Some(image) => format!("{image}, until {until}"),
            None if output.is_terminal() => format!("{drawn}\nuntil {until}"),
            None => shown.code.clone(),
        }
    });
    Ok(())
}

/// The kind of image that a file's extension asks for.
fn image_kind(path: &Path) -> Result<ImageKind, Failure> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    ImageKind::of_extension(extension).ok_or_else(|| {
        Failure::new(Reason::UsageWrong)
            .cause(format!("no image of this kind is made: {}", path.display()))
            .next_step("name a file that ends in .png, .jpg or .jpeg")
    })
}

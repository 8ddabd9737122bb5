//! Who logs in, and at which network's issuer: the flags that commands of holders share.

use std::path::PathBuf;

use clap::Args;
use tallystick_api::issuer::SessionRequest;

use super::password;
use crate::failure::Failure;

/// The flags of a holder who logs in.
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// The network's public description.
    #[arg(long, value_name = "FILE", default_value = ".tally/network.toml")]
    pub network: PathBuf,
    /// The holder's login name at the issuer.
    #[arg(long, value_name = "NAME")]
    pub holder: String,
    /// A file with the holder's password; without it, it is asked for.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl LoginArgs {
    /// What the issuer is told; asks for the password where no file holds it.
    pub fn request(&self) -> Result<SessionRequest, Failure> {
        let prompt = format!("password of {}: ", self.holder);
        let password = password(self.password_file.as_deref(), &prompt)?;
        Ok(SessionRequest { name: self.holder.clone(), password: password.to_string() })
    }
}

//! The commands that are no roles: what people and scripts type.

pub mod amount;
pub mod archive;
pub mod bench;
pub mod doctor;
pub mod issuer;
pub mod login;
pub mod merchant;
pub mod network_file;
pub mod operators;
pub mod prune;
pub mod receipt;
pub mod shell;
pub mod snapshot;
pub mod statement;
pub mod wallet;

use std::path::Path;

use tallystick_kernel::Reason;
use zeroize::Zeroizing;

use crate::data_folder::read_bounded;
use crate::failure::Failure;

/// Runs what a command asks of others, on this thread.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(Reason::Internal).cause(error.to_string()))?.block_on(work)
}

/// A password from a file, or typed on the terminal.
pub fn password(file: Option<&Path>, prompt: &str) -> Result<Zeroizing<String>, Failure> {
    let text = match file {
        Some(file) => {
            let bytes = Zeroizing::new(read_bounded(file, PASSWORD_FILE_BYTES_MAX)?);
            let text = core::str::from_utf8(&bytes);
            text.map_err(|_| {
                Failure::new(Reason::FieldInvalid).cause(format!("{} is no text", file.display()))
            })?
            .trim_end_matches(['\r', '\n'])
            .to_owned()
        }
        None => rpassword::prompt_password(prompt).map_err(|error| {
            Failure::new(Reason::FieldInvalid)
                .cause(format!("the terminal: {error}"))
                .usage()
                .next_step("name a file with --password-file FILE")
        })?,
    };
    Ok(Zeroizing::new(text))
}

/// The text of a small file.
pub fn read_text(path: &Path, bytes_max: usize) -> Result<String, Failure> {
    String::from_utf8(read_bounded(path, bytes_max)?).map_err(|_| {
        Failure::new(Reason::BodyMalformed).cause(format!("{} is no text", path.display()))
    })
}

const PASSWORD_FILE_BYTES_MAX: usize = 512;

//! Reads a code out of a picture that somebody else sent.
//!
//! Invariants: it is decoded in a process of its own, which the kernel ends when it takes too much time
//! or memory, so that no picture can hold a role up; few are decoded at once, and few wait.

use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::resource::{Resource, setrlimit};
use tallystick_kernel::Reason;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::failure::Failure;
use crate::qr;

/// The command that decodes the picture on its standard input.
pub const COMMAND: &str = "read-picture";

/// The text of the one QR code in a picture.
///
/// Returns the reasons of [`qr::from_image`], [`Reason::ImageUnreadable`] for a picture that takes too
/// long or too much memory, and [`Reason::RateLimited`] when too many are being read.
pub async fn read(picture: &[u8]) -> Result<String, Reason> {
    if picture.len() > qr::IMAGE_BYTES_MAX {
        return Err(Reason::TooLarge);
    }
    let turn = tokio::time::timeout(TURN_TIME_MAX, TURNS.acquire()).await;
    let _turn = turn.map_err(|_| Reason::RateLimited)?.map_err(|_| Reason::Internal)?;
    let read = tokio::time::timeout(WALL_TIME_MAX, decoded(picture)).await;
    read.unwrap_or(Err(Reason::ImageUnreadable))
}

/// Runs the command; when this is dropped, its process is killed.
async fn decoded(picture: &[u8]) -> Result<String, Reason> {
    let program = std::env::current_exe().map_err(|_| Reason::Internal)?;
    let mut child = Command::new(program)
        .arg(COMMAND)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|_| Reason::Internal)?;
    let mut input = child.stdin.take().ok_or(Reason::Internal)?;
    // One that was ended meanwhile reads no more; what it came to is told by its status.
    let _ = input.write_all(picture).await;
    drop(input);
    let output = child.wait_with_output().await.map_err(|_| Reason::Internal)?;
    let said = String::from_utf8(output.stdout).map_err(|_| Reason::CodeNotFound)?;
    match output.status.code() {
        Some(0) => Ok(said),
        Some(_) => Err(Reason::from_code(said.trim()).unwrap_or(Reason::ImageUnreadable)),
        None => Err(Reason::ImageUnreadable),
    }
}

/// The command: limits itself, decodes, and says the text or the code of a reason.
pub fn run() -> Result<(), Failure> {
    let internal = |_| Failure::new(Reason::Internal);
    setrlimit(Resource::RLIMIT_CPU, CPU_SECONDS_MAX, CPU_SECONDS_MAX).map_err(internal)?;
    setrlimit(Resource::RLIMIT_AS, MEMORY_BYTES_MAX, MEMORY_BYTES_MAX).map_err(internal)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(internal)?;
    let mut picture = Vec::new();
    let input = std::io::stdin().lock();
    let failed = |_| Failure::new(Reason::FileUnreadable);
    input.take(qr::IMAGE_BYTES_MAX as u64 + 1).read_to_end(&mut picture).map_err(failed)?;
    let read = qr::from_image(&picture);
    let said = match &read {
        Ok(text) => text.as_str(),
        Err(reason) => reason.code(),
    };
    std::io::stdout().write_all(said.as_bytes()).map_err(failed)?;
    read.map(drop).map_err(Failure::new)
}

/// Pictures that are decoded at once.
static TURNS: Semaphore = Semaphore::const_new(2);
/// How long one waits for its turn.
const TURN_TIME_MAX: Duration = Duration::from_secs(5);
/// Time of a core that one may take; a photograph takes well below one second.
const CPU_SECONDS_MAX: u64 = 3;
/// Within the time in which a request must be answered, even on a machine that is busy.
const WALL_TIME_MAX: Duration = Duration::from_secs(20);
const MEMORY_BYTES_MAX: u64 = 512 * 1024 * 1024;

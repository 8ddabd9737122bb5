//! The folder's files: of which version, and whether its secrets are for their owner only.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tallystick_kernel::Reason;

use super::finding::Finding;
use crate::data_folder::{KEYS_FILE, MARKER_FILE, SECRETS_FILE, read_marker};

/// Looks at the folder and at those in it.
pub fn look(folder: &Path) -> Vec<Finding> {
    if !folder.join(MARKER_FILE).exists() {
        let says = format!("{} is no data folder yet", folder.display());
        return vec![Finding::ok("folder", says)];
    }
    let mut folders = vec![folder.to_owned()];
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    folders.extend(entries.filter(|path| path.join(MARKER_FILE).exists()));
    folders.sort();
    let mut findings: Vec<Finding> = folders.iter().filter_map(|one| version(one)).collect();
    if findings.is_empty() {
        let says = format!("{} and {} in it, of our version", folder.display(), folders.len() - 1);
        findings.push(Finding::ok("folder", says));
    }
    let (mut secrets, mut open) = (0_usize, Vec::new());
    for folder in &folders {
        modes(folder, &mut secrets, &mut open);
    }
    if open.is_empty() {
        open.push(Finding::ok("modes", format!("{secrets} secrets, for their owner only")));
    }
    findings.extend(open);
    findings
}

/// What is wrong with the marker of a folder.
fn version(folder: &Path) -> Option<Finding> {
    let failure = read_marker(folder).err()?;
    Some(Finding::failure("folder", &failure))
}

/// Counts the secrets of a folder and finds those that others may read.
fn modes(folder: &Path, secrets: &mut usize, open: &mut Vec<Finding>) {
    if let Some(mode) = open_mode(folder) {
        let says = format!("{} has mode {mode:04o}: others may look into it", folder.display());
        open.push(Finding::warning("modes", says, format!("chmod 700 {}", folder.display())));
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_secret(&name) {
            *secrets += 1;
            let path = entry.path();
            let shown = path.display();
            open.extend(open_mode(&path).map(|mode| {
                let says = format!("{shown} has mode {mode:04o}: others may read it");
                let next = format!("chmod 600 {shown}");
                Finding::failed("modes", Reason::FileUnreadable, says, next)
            }));
        }
    }
}

/// The mode of what is open to others.
fn open_mode(path: &Path) -> Option<u32> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then_some(mode)
}

fn is_secret(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    [KEYS_FILE, SECRETS_FILE].contains(&name)
        || matches!(extension, Some("key" | "password" | "db" | "state"))
}

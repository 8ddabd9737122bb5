//! axe-core: fetched at one exact version, and asked about pages for barriers to people.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use super::webdriver::Browser;
use crate::repository;

const PACKAGE: &str = "axe-core@4.14.1";
const ARCHIVE: &str = "axe-core-4.14.1.tgz";
/// SHA-512 of the archive in base64, as a lock file of npm has it.
const INTEGRITY: &str =
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==";
/// Barriers that are grave enough to keep somebody out.
const GRAVE: [&str; 2] = ["serious", "critical"];
const EXAMINE: &str = "const done = arguments[0];
axe.run(document, { resultTypes: ['violations'] }).then(
  ({ violations }) => done(violations.map(({ id, impact, nodes }) =>
    ({ id, impact, where: nodes.map((node) => node.html.slice(0, 160)) }))),
  (error) => done([{ id: String(error), impact: 'critical', where: [] }]))";

/// The script of axe-core; it is fetched once, and its bytes are compared each time.
pub fn script(root: &Path) -> Result<String, String> {
    let folder = repository::target(root)?.join("axe-core");
    let archive = folder.join(ARCHIVE);
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    if !archive.exists() {
        println!("$ npm pack {PACKAGE}");
        done(Command::new("npm").args(["pack", "--silent", PACKAGE]).current_dir(&folder))?;
    }
    let bytes = std::fs::read(&archive).map_err(|error| format!("{ARCHIVE}: {error}"))?;
    if integrity(&bytes) != INTEGRITY {
        return Err(format!("{} is not {PACKAGE} as it was published", archive.display()));
    }
    let unpack = ["-xzf", ARCHIVE, "package/axe.min.js"];
    done(Command::new("tar").args(unpack).current_dir(&folder))?;
    let script = std::fs::read_to_string(folder.join("package/axe.min.js"));
    script.map_err(|error| error.to_string())
}

fn integrity(bytes: &[u8]) -> String {
    STANDARD.encode(Sha512::digest(bytes))
}

fn done(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().display().to_string();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} ended with {status}")),
        Err(error) => Err(format!("missing: {name}: {error}")),
    }
}

/// The grave barriers of the page as it is now, in words.
pub async fn barriers(browser: &Browser<'_>, script: &str) -> Result<Vec<String>, String> {
    let is_there = browser.run("return typeof axe === 'object'", json!([])).await?;
    if is_there == Value::Bool(false) {
        browser.run(script, json!([])).await?;
    }
    let found = browser.run_async(EXAMINE).await?;
    let grave = found.as_array().ok_or("axe-core answers with no list")?.iter();
    let grave = grave.filter(|one| GRAVE.iter().any(|impact| one["impact"] == *impact));
    Ok(grave.map(ToString::to_string).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_bytes_have_another_integrity() {
        let empty = "z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==";
        assert_eq!(integrity(b""), empty);
        assert_ne!(integrity(b"x"), empty);
        assert_eq!(INTEGRITY.len(), empty.len());
    }
}

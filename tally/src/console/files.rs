//! The files that pages load: built into the binary, named by their content in the query, so that a
//! browser keeps them for as long as they are the same.

use std::sync::LazyLock;

use tallystick_kernel::hash::sha256;
use tallystick_kernel::hex;

/// A file of the folder `console`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// What is in it.
    pub bytes: &'static [u8],
}

/// The path under which they are served.
pub const PREFIX: &str = "/console/";
/// What every page and file is sent with: scripts, styles, pictures and requests of this address
/// and no other, and never within a frame.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

macro_rules! file {
    ($name:literal, $media_type:expr) => {
        File {
            name: $name,
            media_type: $media_type,
            bytes: include_bytes!(concat!("../../../console/", $name)),
        }
    };
}

/// All of them.
pub const FILES: [File; FILE_COUNT] = [
    file!("style.css", "text/css; charset=utf-8"),
    file!("mark.svg", "image/svg+xml"),
    file!("theme.js", SCRIPT),
    file!("page.js", SCRIPT),
    file!("live.js", SCRIPT),
    file!("verify-receipt.js", SCRIPT),
    file!("receipt.js", SCRIPT),
    file!("cbor.js", SCRIPT),
    file!("merkle.js", SCRIPT),
    file!("till.js", SCRIPT),
    file!("code.js", SCRIPT),
];

impl File {
    /// The file of this name, if there is one.
    pub fn find(name: &str) -> Option<&'static File> {
        FILES.iter().find(|file| file.name == name)
    }

    /// The beginning of the digest of what is in it.
    pub fn version(&self) -> &'static str {
        let place = FILES.iter().position(|file| file.name == self.name);
        place.and_then(|place| VERSIONS.get(place)).map_or("", String::as_str)
    }

    /// How long a browser may keep it: for ever when it was asked for by the version it has, else
    /// until it has asked whether the version is still the same (modules name each other without).
    pub fn cache_control(&self, query: Option<&str>) -> &'static str {
        if query == Some(self.version()) {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        }
    }
}

/// The address of a file for pages.
pub fn address(name: &str) -> String {
    let version = File::find(name).map_or("", File::version);
    format!("{PREFIX}{name}?{version}")
}

static VERSIONS: LazyLock<Vec<String>> =
    LazyLock::new(|| FILES.iter().map(|file| hex::encode(&sha256(file.bytes)[..8])).collect());

const SCRIPT: &str = "text/javascript; charset=utf-8";
const FILE_COUNT: usize = 11;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_carries_the_version_and_only_that_one_is_kept_for_ever() {
        let file = File::find("style.css").unwrap();
        assert_eq!(address("style.css"), format!("/console/style.css?{}", file.version()));
        assert!(file.cache_control(Some(file.version())).contains("immutable"));
        assert_eq!(file.cache_control(Some("0000000000000000")), "no-cache");
        assert_eq!(file.cache_control(None), "no-cache");
        assert_eq!(File::find("../Cargo.toml"), None);
    }

    #[test]
    fn modules_import_nothing_that_is_not_served() {
        for file in FILES.iter().filter(|file| file.name.ends_with(".js")) {
            let text = core::str::from_utf8(file.bytes).unwrap();
            for line in text.lines().filter(|line| line.starts_with("import ")) {
                let name = line.rsplit("\"./").next().and_then(|rest| rest.strip_suffix("\";"));
                let found = name.and_then(File::find);
                assert!(found.is_some(), "{}: {line}", file.name);
            }
        }
    }
}

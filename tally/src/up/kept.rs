//! What an operator has put into a node's configuration, and `up` leaves there when it writes the file.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tallystick_kernel::Reason;

use crate::data_folder::read_bounded;
use crate::failure::Failure;
use crate::roles::node::{NodeConfig, Peer, PreBlock};

/// Keys of a node's configuration that `up` itself never sets, and peers, of which it knows some.
#[derive(Deserialize)]
struct Kept {
    retention_days: Option<u32>,
    archive: Option<PathBuf>,
    snapshot_minutes: Option<u32>,
    pre_block: Option<PreBlock>,
    #[serde(default)]
    peers: Vec<Peer>,
}

/// Carries over into `config` what the file at its place says beside it.
///
/// Returns [`Reason::FieldInvalid`] for a file that cannot be read as a configuration: what it was
/// meant to say is not to be lost.
pub fn keep(file: &Path, config: &mut NodeConfig) -> Result<(), Failure> {
    if !file.exists() {
        return Ok(());
    }
    let invalid = |cause: String| {
        Failure::new(Reason::FieldInvalid)
            .cause(format!("in {}: {}", file.display(), cause.trim_end()))
            .next_step("mend it, or remove it to have it written anew")
    };
    let text = read_bounded(file, CONFIG_BYTES_MAX)?;
    let text = core::str::from_utf8(&text).map_err(|error| invalid(error.to_string()))?;
    let kept: Kept = toml::from_str(text).map_err(|error| invalid(error.to_string()))?;
    config.retention_days = kept.retention_days;
    config.archive = kept.archive;
    config.snapshot_minutes = kept.snapshot_minutes;
    config.pre_block = kept.pre_block;
    for peer in kept.peers {
        if !config.peers.iter().any(|planned| planned.key == peer.key) {
            config.peers.push(peer);
        }
    }
    Ok(())
}

const CONFIG_BYTES_MAX: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const PLANNED: &str = "listen = '127.0.0.1:1'\ndata = '.'\ngenesis = 'g'\nmachine_key = 'm'\n\
                           listen_peers = '127.0.0.1:2'\n\
                           [[peers]]\nkey = 'one'\naddress = '127.0.0.1:2'\n";

    fn kept(there: Option<&str>) -> Result<NodeConfig, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        if let Some(text) = there {
            std::fs::write(&file, text).unwrap();
        }
        let mut config = toml::from_str(PLANNED).unwrap();
        keep(&file, &mut config)?;
        // It is read again as it is written.
        Ok(toml::from_str(&toml::to_string(&config).unwrap()).unwrap())
    }

    #[test]
    fn what_an_operator_has_set_stays_and_what_is_planned_wins() {
        let there = format!(
            "retention_days = 30\narchive = 'old'\nsnapshot_minutes = 60\n{}\n[[peers]]\nkey = 'newcomer'\n\
             address = '192.0.2.1:3'\n[pre_block]\nentries = 9\n",
            PLANNED.replace("127.0.0.1:", "192.0.2.9:"),
        );
        let mut expected: NodeConfig = toml::from_str(PLANNED).unwrap();
        expected.retention_days = Some(30);
        expected.archive = Some("old".into());
        expected.snapshot_minutes = Some(60);
        expected.pre_block = Some(PreBlock { entries: Some(9), ..PreBlock::default() });
        let address = "192.0.2.1:3".parse().unwrap();
        expected.peers.push(Peer { key: "newcomer".to_owned(), address });
        assert_eq!(kept(Some(&there)).unwrap(), expected);
        for nothing in [None, Some(PLANNED), Some("")] {
            assert_eq!(kept(nothing).unwrap(), toml::from_str(PLANNED).unwrap());
        }
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_not_written_over() {
        for broken in ["retention_days = 'long'", "retention_days ="] {
            assert_eq!(kept(Some(broken)).unwrap_err().reason, Reason::FieldInvalid);
        }
    }
}

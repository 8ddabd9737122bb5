//! The configuration of a provisioner.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tallystick_kernel::DurationMs;
use tallystick_provisioner::RiskPolicy;

use crate::config::Config;
use crate::console::layout::Links;
use crate::http::api_keys::ApiKeyEntry;

/// The configuration of a provisioner. Paths are taken from the folder of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvisionerConfig {
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// The data folder.
    pub data: PathBuf,
    /// The key under which the data folder's key file lies.
    pub machine_key: PathBuf,
    /// `postgres://...`; without it SQLite in the data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The id of the key shared with the issuer: 16 hexadecimal digits.
    pub shared_key_id: String,
    /// The risk policy.
    pub risk: RiskConfig,
    /// Who may read the metrics and set the level of the log.
    #[serde(default)]
    pub api_keys: Vec<ApiKeyEntry>,
    /// Where the pages of the other roles are.
    #[serde(default)]
    pub console: Links,
}

/// A risk policy in a configuration; see [`RiskPolicy`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented at the type that it becomes")]
pub struct RiskConfig {
    pub name: String,
    pub account_requests_usual: u64,
    pub device_requests_usual: u64,
    pub request_points: u64,
    pub wrong_code_points: u64,
    pub device_new_for_ms: u64,
    pub device_new_points: u64,
    pub points_max: u64,
}

impl Config for ProvisionerConfig {
    const ENVIRONMENT_KEYS: &'static [&'static str] =
        &["listen", "data", "machine_key", "database"];
}

impl From<RiskPolicy> for RiskConfig {
    fn from(policy: RiskPolicy) -> RiskConfig {
        RiskConfig {
            name: policy.name,
            account_requests_usual: policy.account_requests_usual,
            device_requests_usual: policy.device_requests_usual,
            request_points: policy.request_points,
            wrong_code_points: policy.wrong_code_points,
            device_new_for_ms: policy.device_new_for.0,
            device_new_points: policy.device_new_points,
            points_max: policy.points_max,
        }
    }
}

impl From<RiskConfig> for RiskPolicy {
    fn from(config: RiskConfig) -> RiskPolicy {
        RiskPolicy {
            name: config.name,
            account_requests_usual: config.account_requests_usual,
            device_requests_usual: config.device_requests_usual,
            request_points: config.request_points,
            wrong_code_points: config.wrong_code_points,
            device_new_for: DurationMs(config.device_new_for_ms),
            device_new_points: config.device_new_points,
            points_max: config.points_max,
        }
    }
}

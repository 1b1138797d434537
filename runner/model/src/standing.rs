//! What a cluster says of a target.

use serde::{Deserialize, Serialize};

/// Whether requests are sent to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// They are.
    In,
    /// No new ones, and what goes on may end.
    Draining,
    /// None are.
    Out,
}

impl Service {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::In => "in service",
            Self::Draining => "draining",
            Self::Out => "out of service",
        }
    }
}

/// How a target stands in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Standing {
    /// Whether requests are sent to it.
    pub service: Service,
    /// Whether it passes the cluster's own checks; a target that does not serves nobody, whatever it is told.
    pub healthy: bool,
    /// Connections that go on; `None`: the cluster does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
}

impl Standing {
    /// Whether it serves requests.
    pub fn serves(&self) -> bool {
        self.service == Service::In && self.healthy
    }
}

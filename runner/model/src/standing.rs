//! What a cluster says of a target.

use serde::{Deserialize, Serialize};

/// Whether requests are sent to a target; the least is the one that lets most through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// Of a target that serves.
    pub fn served() -> Self {
        Self { service: Service::In, healthy: true, connections: None }
    }

    /// Of a target that does not.
    pub fn out() -> Self {
        Self { service: Service::Out, healthy: true, connections: None }
    }

    /// Whether it serves requests.
    pub fn serves(&self) -> bool {
        self.service == Service::In && self.healthy
    }

    /// Whether nobody sends requests to it, or waits for an answer.
    pub fn is_out(&self) -> bool {
        match self.service {
            Service::In => false,
            Service::Draining => self.connections == Some(0),
            Service::Out => true,
        }
    }

    /// How it stands at two load balancers together: requests come from any of them, and one that does not see it well
    /// sends it none.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let sum = |one: u32, two: u32| one.saturating_add(two);
        Self {
            service: self.service.min(other.service),
            healthy: self.healthy && other.healthy,
            connections: self.connections.zip(other.connections).map(|(one, two)| sum(one, two)),
        }
    }

    /// For people.
    pub fn words(&self) -> String {
        let healthy = if self.healthy { "" } else { ", and fails its checks" };
        format!("{}{healthy}", self.service.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_load_balancers_each_counts() {
        let (here, out) = (Standing::served(), Standing::out());
        assert_eq!(here.and(out).service, Service::In, "one that sends requests is enough");
        let draining = |connections| Standing { service: Service::Draining, connections, ..out };
        assert_eq!(out.and(draining(Some(1))).service, Service::Draining);
        assert_eq!(draining(Some(1)).and(draining(Some(2))).connections, Some(3));
        assert_eq!(draining(Some(1)).and(draining(None)).connections, None, "one does not say");
        assert!(!here.and(Standing { healthy: false, ..here }).serves());
    }

    #[test]
    fn who_drains_is_out_when_the_last_connection_ended() {
        let draining = |connections| Standing { service: Service::Draining, healthy: true, connections };
        assert!(draining(Some(0)).is_out());
        assert!(!draining(Some(1)).is_out());
        assert!(!draining(None).is_out(), "nobody knows");
        assert!(Standing::out().is_out() && !Standing::served().is_out());
    }
}

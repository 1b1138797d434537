//! Where a registry may lead: never nearer to this machine than the registry itself.
//!
//! Names are looked up once, here, when a connection is made: what is judged is what is connected to. Behind a proxy it is
//! the proxy that looks names up, and only literal addresses are judged.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use runner_model::grant::address_allowed;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use url::{Host, Url};

/// How near an address is, the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Zone {
    Machine,
    Private,
    Internet,
}

impl Zone {
    pub(crate) fn of(address: IpAddr) -> Self {
        let shared = |v4: Ipv4Addr| v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
        match address.to_canonical() {
            address if address.is_loopback() => Self::Machine,
            IpAddr::V4(v4) if v4.is_private() || shared(v4) => Self::Private,
            IpAddr::V6(v6) if v6.is_unique_local() => Self::Private,
            _ => Self::Internet,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Machine => "this machine",
            Self::Private => "a private network",
            Self::Internet => "the internet",
        }
    }
}

/// A name leads where it may not.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Nearer(pub(crate) String);

/// Looks names up for the connections of one registry.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    registry: String,
    /// Where the registry is; `None` until it was looked up, and behind a proxy.
    zone: Arc<Mutex<Option<Zone>>>,
}

impl Guard {
    pub(crate) fn new(host: Option<Host<&str>>) -> Self {
        let zone = host.as_ref().and_then(literal).map(Zone::of);
        let registry = host.map(|host| host.to_string()).unwrap_or_default();
        Self { registry, zone: Arc::new(Mutex::new(zone)) }
    }

    fn zone(&self) -> Option<Zone> {
        *self.zone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the registry may lead to the host of a URL, as far as that can be told from its text.
    pub(crate) fn judge(&self, url: &Url) -> Result<(), Nearer> {
        match url.host().as_ref().and_then(literal) {
            Some(address) if url.host_str() != Some(self.registry.as_str()) => self.judge_address(address),
            _ => Ok(()),
        }
    }

    fn judge_address(&self, address: IpAddr) -> Result<(), Nearer> {
        if !address_allowed(address, false) {
            return Err(Nearer(format!(
                "which is {address}: no registry is there, and metadata services are"
            )));
        }
        let (there, here) = (Zone::of(address), self.zone());
        if here.is_some_and(|here| there < here) {
            let here = here.map_or("elsewhere", Zone::name);
            return Err(Nearer(format!("which is on {}, and the registry is on {here}", there.name())));
        }
        Ok(())
    }

    fn judge_all(&self, name: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Nearer> {
        if name.eq_ignore_ascii_case(&self.registry) {
            if let Some(refused) = found.iter().find(|address| !address_allowed(address.ip(), false)) {
                return Err(Nearer(format!("which is {}: no registry is there", refused.ip())));
            }
            // What is spoken to without TLS is this machine, whatever its table of names says.
            if name.eq_ignore_ascii_case("localhost")
                && found.iter().any(|at| Zone::of(at.ip()) != Zone::Machine)
            {
                return Err(Nearer("which is not on this machine".to_owned()));
            }
            // A registry that is in two places is in the farther one, also when it says something else later: whoever runs
            // it writes the table of names, and could lead nearer by it.
            let farthest = found.iter().map(|address| Zone::of(address.ip())).max();
            let mut zone = self.zone.lock().unwrap_or_else(PoisonError::into_inner);
            *zone = (*zone).max(farthest);
            return Ok(found);
        }
        found.iter().try_for_each(|address| self.judge_address(address.ip()))?;
        Ok(found)
    }
}

fn literal(host: &Host<&str>) -> Option<IpAddr> {
    match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some((*address).into()),
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let found: Addrs = Box::new(guard.judge_all(name.as_str(), found)?.into_iter());
            Ok(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Vec<SocketAddr> {
        vec![SocketAddr::new(address.parse().expect("an address"), 0)]
    }

    #[test]
    fn a_registry_in_two_networks_is_in_the_farther_one_and_stays_there() {
        let guard = Guard::new(Some(Host::Domain("r.example.org")));
        let own = |addresses| guard.judge_all("r.example.org", addresses).expect("its own");
        let inside = || guard.judge_all("other.example.org", at("10.1.2.3"));
        own([at("127.0.0.1"), at("192.0.2.1")].concat());
        assert!(inside().is_err());
        own(at("127.0.0.1"));
        assert!(inside().is_err(), "by its own word it is on this machine now");
    }

    #[test]
    fn nobody_leads_nearer_to_this_machine_than_itself() {
        let steps = ["127.0.0.1", "10.1.2.3", "192.0.2.1"];
        for (from, registry) in steps.iter().enumerate() {
            for (to, other) in steps.iter().enumerate() {
                let guard = Guard::new(Some(Host::Domain("r.example.org")));
                guard.judge_all("r.example.org", at(registry)).expect("its own address");
                let judged = guard.judge_all("other.example.org", at(other));
                assert_eq!(judged.is_ok(), to >= from, "{registry} leads to {other}: {judged:?}");
                let url = Url::parse(&format!("https://{other}/")).expect("a URL");
                assert_eq!(guard.judge(&url).is_ok(), to >= from, "{registry} leads to {other}");
            }
        }
    }

    #[test]
    fn metadata_services_are_for_nobody() {
        let guard = Guard::new(Some(Host::Domain("r.example.org")));
        guard.judge_all("r.example.org", at("127.0.0.1")).expect("its own address");
        for address in
            ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "::ffff:169.254.169.254", "0.0.0.0"]
        {
            let judged = guard.judge_all("other.example.org", at(address));
            assert!(judged.expect_err(address).to_string().contains("metadata"));
            assert!(
                Guard::new(Some(Host::Domain("r.example.org")))
                    .judge_all("r.example.org", at(address))
                    .is_err()
            );
        }
    }

    #[test]
    fn one_near_address_among_others_is_enough_to_refuse() {
        let guard = Guard::new(Some(Host::Domain("r.example.org")));
        guard.judge_all("r.example.org", at("192.0.2.1")).expect("its own address");
        let both = [at("192.0.2.9"), at("127.0.0.1")].concat();
        assert!(guard.judge_all("other.example.org", both).is_err());
    }

    #[test]
    fn zones_are_told_apart() {
        for (address, zone) in [
            ("::1", Zone::Machine),
            ("::ffff:127.0.0.1", Zone::Machine),
            ("192.168.1.1", Zone::Private),
            ("172.16.0.1", Zone::Private),
            ("100.64.0.1", Zone::Private),
            ("fd12::1", Zone::Private),
            ("100.128.0.1", Zone::Internet),
            ("2001:db8::1", Zone::Internet),
        ] {
            assert_eq!(Zone::of(address.parse().expect("an address")), zone, "{address}");
        }
    }
}

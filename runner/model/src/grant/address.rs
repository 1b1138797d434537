//! Which addresses a request may connect to, after its host's name was looked up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether a request may connect to this address. Addresses of the own link, of clouds' metadata services, of many
/// machines or of none are refused unless the grant spells out that very address (`named_literally`): otherwise whoever
/// controls the name of a granted host could point it at the machine's own credentials. Loopback and private networks
/// are where deployed services live, and are allowed.
///
/// ```
/// # use runner_model::grant::address_allowed;
/// assert!(address_allowed("127.0.0.1".parse().unwrap(), false));
/// assert!(address_allowed("10.1.2.3".parse().unwrap(), false));
/// assert!(!address_allowed("169.254.169.254".parse().unwrap(), false));
/// assert!(!address_allowed("::ffff:169.254.169.254".parse().unwrap(), false));
/// assert!(address_allowed("169.254.169.254".parse().unwrap(), true));
/// ```
pub fn address_allowed(address: IpAddr, named_literally: bool) -> bool {
    named_literally
        || match address {
            IpAddr::V4(v4) => v4_allowed(v4),
            IpAddr::V6(v6) => v6_allowed(v6),
        }
}

/// Metadata services that are not on a link-local address: Alibaba Cloud, Oracle Cloud, Azure's wire server.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];

/// Metadata services on unique local addresses: AWS, Google Cloud.
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

fn v4_allowed(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    // 0.0.0.0/8 is "this host"; 224.0.0.0/4 is multicast; 240.0.0.0/4 is reserved, and ends in broadcast.
    first != 0 && first < 224 && !address.is_link_local() && !METADATA_V4.contains(&address)
}

fn v6_allowed(address: Ipv6Addr) -> bool {
    if address.is_loopback() {
        return true;
    }
    let parts = address.segments();
    let link_or_site_local = matches!(parts[0] & 0xffc0, 0xfe80 | 0xfec0);
    if address.is_unspecified()
        || address.is_multicast()
        || link_or_site_local
        || METADATA_V6.contains(&address)
    {
        return false;
    }
    inner_v4(parts).is_none_or(v4_allowed)
}

/// The IPv4 address that an IPv6 one leads to: mapped, compatible, translated, NAT64, 6to4, Teredo.
fn inner_v4(parts: [u16; 8]) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match parts {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => Some(v4(high, low)),
        // 64:ff9b::/96, and 64:ff9b:1::/48 of which the last 32 bits are the usual place.
        [0x64, 0xff9b, 0 | 1, _, _, _, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        [0x2001, 0, _, _, _, _, high, low] => Some(v4(!high, !low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_and_link_local_need_to_be_named() {
        for text in [
            "169.254.169.254",
            "169.254.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "239.255.255.255",
            "255.255.255.255",
            "240.0.0.1",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "::",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "::ffff:0.0.0.0",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "2001:0:1:2:3:4:5601:5601",
        ] {
            let address = text.parse().expect(text);
            assert!(!address_allowed(address, false), "{text}");
            assert!(address_allowed(address, true), "{text}");
        }
    }

    #[test]
    fn loopback_private_and_public_addresses_are_allowed() {
        for text in [
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "93.184.216.34",
            "::1",
            "fd00::1",
            "2606:2800::1",
            "::ffff:127.0.0.1",
            "64:ff9b::93.184.216.34",
        ] {
            assert!(address_allowed(text.parse().expect(text), false), "{text}");
        }
    }
}

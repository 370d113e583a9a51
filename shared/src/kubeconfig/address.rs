//! Hosts to which no credentials go: where clouds hand out the identity of a machine to whoever asks from it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Alibaba Cloud's metadata service. The others are at link-local addresses.
const ALIBABA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);

/// Whether a host (a name, an address, an IPv6 address without its brackets) may be asked. A name that leads there cannot be
/// told from its letters; the certificate that it cannot show keeps credentials from it.
///
/// # Errors
/// Why not.
pub fn check_host(host: &str) -> Result<(), &'static str> {
    const METADATA: &str = "it is the address of a cloud's metadata service, or link-local";
    let host = host.trim_end_matches('.');
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) if is_metadata(address) => Err(METADATA),
        Ok(IpAddr::V6(address)) if address.is_unicast_link_local() || inner(address).is_some_and(is_metadata) => {
            Err(METADATA)
        }
        Ok(_) => Ok(()),
        // Resolvers read `1684300900` and `0x64.100.25800` as addresses, too. No top-level domain is a number.
        Err(_) if is_number(host.rsplit('.').next().unwrap_or_default()) => {
            Err("it is a number that is no address (write four numbers from 0 to 255, with dots)")
        }
        Err(_) => Ok(()),
    }
}

fn is_metadata(address: Ipv4Addr) -> bool {
    address.is_link_local() || address == ALIBABA
}

/// The IPv4 address inside of an IPv6 one.
fn inner(address: Ipv6Addr) -> Option<Ipv4Addr> {
    address.to_ipv4()
}

fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_metadata_services_are_not_asked_however_they_are_written() {
        for host in [
            "100.100.100.200",
            "100.100.100.200.",
            "169.254.169.254",
            "169.254.0.1",
            "::ffff:100.100.100.200",
            "::ffff:a9fe:a9fe",
            "::100.100.100.200",
            "fe80::1",
            "1684301000",
            "0x646464c8",
            "100.100.25800",
            "0x64.0x64.0x64.0xc8",
            "100.100.100.0xc8",
            "256.1.1.1",
        ] {
            assert!(check_host(host).is_err(), "{host}");
        }
        for host in
            ["10.0.0.1", "47.96.1.2", "fd00::1", "git.example.com", "apiserver", "100.100.100.201", "a.0xfg", ""]
        {
            assert_eq!(check_host(host), Ok(()), "{host}");
        }
    }
}

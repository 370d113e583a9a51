//! Where notifications may go. Whoever may write a Secret in a FleetSync's namespace must not be able to ask, by way of the
//! agent, what only the agent's network reaches: the names of receivers are looked up here, and addresses judged before a
//! connection is made to exactly these.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use asm_shared::kubeconfig::check_host;
use hyper_util::client::legacy::connect::dns::Name;
use tower::Service;

/// Which addresses a receiver may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those of the internet.
    Public,
    /// Those of private networks, too (`--private-receivers`).
    Private,
}

impl Reach {
    /// Whether an address may be asked.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check(self, address: IpAddr) -> Result<(), String> {
        let address = plain(address);
        check_host(&address.to_string()).map_err(str::to_owned)?;
        if is_nobodys(address) {
            return Err("it is no address of a receiver".to_owned());
        }
        if self == Self::Public && is_private(address) {
            return Err(
                "it is a private address; if that is meant, start the agent with --private-receivers".to_owned()
            );
        }
        Ok(())
    }
}

/// The IPv4 address that an IPv6 one stands for.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().or_else(|| translated(v6)).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// `64:ff9b::/96`, by which networks of IPv6 alone reach IPv4.
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else { return None };
    Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
}

fn is_nobodys(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast() || v4.octets()[0] == 0);
    address.is_unspecified() || address.is_multicast() || broadcast
}

fn is_private(address: IpAddr) -> bool {
    match address {
        // 100.64.0.0/10 is what clouds put their own services at.
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || matches!(v4.octets(), [100, 64..=127, _, _]),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
    }
}

/// Looks names up and gives only addresses that may be asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lookup(pub(super) Reach);

impl Service<Name> for Lookup {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.0;
        Box::pin(async move {
            // The port is put in by the connector.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // One that may not be asked spoils the name: whoever serves it chooses which one is taken.
            for address in &found {
                reach
                    .check(address.ip())
                    .map_err(|why| io::Error::other(format!("it leads to {}: {why}", address.ip())))?;
            }
            Ok(found.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_receivers_are_not_where_only_the_agent_gets() {
        for (address, public, private) in [
            ("47.96.1.2", true, true),
            ("2400:3200::1", true, true),
            ("10.0.0.1", false, true),
            ("172.16.3.4", false, true),
            ("192.168.1.1", false, true),
            ("100.64.0.1", false, true),
            ("127.0.0.1", false, true),
            ("::1", false, true),
            ("fd00::1", false, true),
            ("::ffff:10.0.0.1", false, true),
            ("64:ff9b::a00:1", false, true),
            ("100.100.100.200", false, false),
            ("169.254.169.254", false, false),
            ("::ffff:169.254.169.254", false, false),
            ("64:ff9b::a9fe:a9fe", false, false),
            ("fe80::1", false, false),
            ("0.0.0.0", false, false),
            ("::", false, false),
            ("224.0.0.1", false, false),
            ("ff02::1", false, false),
            ("255.255.255.255", false, false),
        ] {
            let parsed: IpAddr = address.parse().unwrap();
            let found = (Reach::Public.check(parsed).is_ok(), Reach::Private.check(parsed).is_ok());
            assert_eq!(found, (public, private), "{address}");
        }
    }
}

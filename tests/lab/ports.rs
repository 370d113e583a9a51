//! Ports that are likely to stay free.

use std::net::TcpListener;

use anyhow::{Context, Result};

/// A port on 127.0.0.1 that is free now, below the range that the kernel gives to outgoing connections: a stopped API
/// server must find its port free when it starts again.
pub(crate) fn free_port() -> Result<u16> {
    let seed = crate::pki::random()?;
    // The tail of a key pair's encoding is the public key: evenly spread.
    let (_, tail) = seed.split_at(seed.len().saturating_sub(64));
    tail.windows(2)
        .map(|pair| 20_000 + u16::from_le_bytes([pair[0], pair[1]]) % 12_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .context("found no free port between 20000 and 32000")
}

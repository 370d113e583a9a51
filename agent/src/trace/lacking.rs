//! What stands in for traces in a build without them.

use tokio::runtime::Handle;

use super::Taker;

/// Sends spans. There is none in this build.
pub(crate) enum Exporter {}

impl Exporter {
    /// Sends what is left.
    pub(crate) fn end(self) {
        match self {}
    }
}

/// Refuses what this build cannot do. What the environment of every program names is no reason to refuse.
pub(crate) fn start(endpoint: Option<&str>, _runtime: &Handle) -> Result<Option<(Exporter, Taker)>, String> {
    match endpoint {
        Some(_) => {
            Err("--otlp-endpoint: this build of asm-agent sends no traces; leave the option out, or build it with: \
                        cargo build --release --package asm-agent --features otlp"
                .to_owned())
        }
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn a_build_without_traces_says_so_and_how_to_get_them() {
        let handle = tokio::runtime::Handle::current();
        let refused = super::start(Some("http://collector:4318"), &handle).err().unwrap();
        assert!(refused.contains("--features otlp"), "{refused}");
        assert!(super::start(None, &handle).unwrap().is_none());
    }
}

//! What `clb remove` and `clb replace --finish` share: the addresses that will be lost, and the consent of the user.

use super::live::{self, Key};
use crate::context::Context;
use crate::context::FleetRepo;
use crate::error::CommandError;
use crate::when;
use asm_shared::authoring::Addresses;
use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _};

/// Flags that name what will be lost.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct LostArgs {
    /// An address that will be lost, IP or host name; may be repeated. With several clusters: CLUSTER=ADDRESS
    #[arg(long = "address", value_name = "[CLUSTER=]ADDRESS", conflicts_with = "live", value_delimiter = ',')]
    addresses: Vec<String>,

    /// Read the addresses from the clusters
    #[arg(long)]
    pub(super) live: bool,

    /// When the approval ends: a duration such as 72h or 7d, or a time such as 2026-05-01T12:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = when::to_come)]
    pub(super) expires: Option<jiff::Timestamp>,

    /// Why, for the reviewer of the approval
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,

    /// The name once more, instead of being asked for it
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
}

impl LostArgs {
    /// The addresses by cluster, from the flags or from the clusters.
    pub(super) fn addresses(
        &self,
        context: &Context,
        repo: &FleetRepo,
        namespace: &str,
        name: &str,
        clusters: &[String],
    ) -> Result<BTreeMap<String, Addresses>, CommandError> {
        if self.live {
            return from_clusters(context, repo, namespace, name, clusters);
        }
        let mut all: BTreeMap<String, Addresses> = BTreeMap::new();
        for text in &self.addresses {
            let (cluster, address) = match (text.split_once('='), clusters) {
                (Some((cluster, address)), _) => (cluster, address),
                (None, [only]) => (only.as_str(), text.as_str()),
                (None, _) => {
                    return Err(CommandError::usage(format!("--address {text}: of which cluster?"))
                        .hinted(format!("{name} stands in {}; write --address CLUSTER=ADDRESS", clusters.join(", "))));
                }
            };
            if !clusters.iter().any(|known| known == cluster) {
                return Err(CommandError::usage(format!("--address {text}: {name} is not removed from {cluster}"))
                    .hinted(format!("clusters are: {}", clusters.join(", "))));
            }
            if !is_address(address) {
                return Err(CommandError::usage(format!("--address {text}: neither an IP nor a host name")));
            }
            all.entry(cluster.to_owned()).or_default().addresses.push(address.to_owned());
        }
        Ok(all)
    }

    /// Asks for the name, unless `--confirm` says it.
    pub(super) fn confirm(&self, context: &Context, name: &str, warnings: &[String]) -> Result<(), CommandError> {
        let refused = |given: &str| {
            CommandError::usage(format!("nothing was written: `{given}` is not {name}"))
                .hinted(format!("to go on: --confirm {name}"))
        };
        if let Some(given) = &self.confirm {
            return if given == name { Ok(()) } else { Err(refused(given)) };
        }
        let stdin = std::io::stdin();
        if context.globals.no_input || !stdin.is_terminal() {
            return Err(warnings
                .iter()
                .fold(
                    CommandError::usage(format!("nothing was written: removing {name} wants the name once more")),
                    |error, warning| error.because(warning.clone()),
                )
                .hinted(format!("to go on: --confirm {name}; to look first: --dry-run")));
        }
        warnings.iter().for_each(|warning| context.ui().warning(warning));
        context.ui().status(&format!("Type {name} to go on:"));
        let mut line = String::new();
        stdin
            .lock()
            .read_line(&mut line)
            .map_err(|error| CommandError::input("cannot read the answer").caused_by(&error))?;
        if line.trim() == name { Ok(()) } else { Err(refused(line.trim())) }
    }
}

fn from_clusters(
    context: &Context,
    repo: &FleetRepo,
    namespace: &str,
    name: &str,
    clusters: &[String],
) -> Result<BTreeMap<String, Addresses>, CommandError> {
    let keys: Vec<Key> =
        clusters.iter().map(|cluster| (cluster.clone(), namespace.to_owned(), name.to_owned())).collect();
    let mut answers = live::read(context, repo.fleet()?, &keys)?;
    let services = std::mem::take(&mut answers.services);
    if let Some(error) = answers.error() {
        return Err(
            error.hinted("nothing was written; if you know the address, give it with --address instead of --live")
        );
    }
    let known = services.into_iter().map(|((cluster, ..), live)| {
        let addresses = match live {
            Some(live) => Addresses { addresses: live.addresses, uid: live.uid, absent: false },
            None => Addresses { absent: true, ..Addresses::default() },
        };
        (cluster, addresses)
    });
    Ok(known.collect())
}

fn is_address(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && !label.starts_with('-')
    };
    let host = text.contains('.')
        && text.split('.').all(label)
        && text.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_alphabetic()));
    text.parse::<std::net::IpAddr>().is_ok() || host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_ips_or_host_names() {
        for (text, expected) in [
            ("198.51.100.7", true),
            ("2001:db8::1", true),
            ("nlb-x.cn-hangzhou.nlb.aliyuncs.com", true),
            ("198.51.100", false),
            ("198.51.100.700", false),
            ("door", false),
            ("", false),
        ] {
            assert_eq!(is_address(text), expected, "{text}");
        }
    }
}

//! What a load balancer is like, as flags: those of `clb add` and `clb replace`.

use asm_shared::authoring::{AddressType, ChargeType, ClbPort, ClbSettings, ExternalTrafficPolicy};
use clap::ValueEnum;

/// Flags that say what a load balancer is like.
#[derive(Clone, Debug, clap::Args)]
pub struct SettingsArgs {
    /// Reachable from the VPC only (intranet)
    #[arg(long, conflicts_with = "internet")]
    internal: bool,

    /// Public; what the cloud takes when nothing is said
    #[arg(long)]
    internet: bool,

    /// Specification of a CLB, for example slb.s1.small
    #[arg(long, value_name = "SPEC")]
    spec: Option<String>,

    /// How a CLB is paid; a specification counts with PayBySpec only
    #[arg(long, value_name = "TYPE", ignore_case = true)]
    charge_type: Option<ChargeTypeArg>,

    /// An NLB instead of a CLB; it has a host name and no IP
    #[arg(long)]
    nlb: bool,

    /// A zone of an NLB with its vSwitch; two at least
    #[arg(long = "zone", value_name = "ZONE:VSWITCH", value_delimiter = ',')]
    zones: Vec<String>,

    /// A port; may be repeated [default: the ports of the gateway]
    #[arg(long = "port", value_name = "NAME=PORT[:TARGET[:NODEPORT]]")]
    ports: Vec<ClbPort>,

    /// Write node ports that are free as far as Git knows [default: the API server chooses them]
    #[arg(long = "node-port")]
    node_ports: bool,

    /// Local keeps the client's address, Cluster spreads evenly
    #[arg(long, value_name = "POLICY", ignore_case = true)]
    external_traffic_policy: Option<PolicyArg>,

    /// One more annotation of the Service; may be repeated
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = annotation)]
    annotations: Vec<(String, String)>,
}

/// How a CLB is paid.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ChargeTypeArg {
    /// By its specification.
    #[value(name = "PayBySpec")]
    PayBySpec,
    /// By use.
    #[value(name = "PayByCLCU")]
    PayByClcu,
}

/// What nodes do with traffic for pods elsewhere.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PolicyArg {
    /// Pass it on.
    #[value(name = "Cluster")]
    Cluster,
    /// Do not take it.
    #[value(name = "Local")]
    Local,
}

fn annotation(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not KEY=VALUE")),
    }
}

impl SettingsArgs {
    /// Is none of the flags given?
    pub(super) fn is_empty(&self) -> bool {
        ClbSettings::from(self.clone()) == ClbSettings::default()
    }
}

impl From<SettingsArgs> for ClbSettings {
    fn from(args: SettingsArgs) -> Self {
        let network = match (args.internal, args.internet) {
            (true, _) => Some(AddressType::Intranet),
            (_, true) => Some(AddressType::Internet),
            _ => None,
        };
        Self {
            network,
            spec: args.spec,
            charge_type: args.charge_type.map(|value| match value {
                ChargeTypeArg::PayBySpec => ChargeType::PayBySpec,
                ChargeTypeArg::PayByClcu => ChargeType::PayByClcu,
            }),
            nlb: args.nlb,
            zones: args.zones,
            ports: args.ports,
            node_ports: args.node_ports,
            external_traffic_policy: args.external_traffic_policy.map(|value| match value {
                PolicyArg::Cluster => ExternalTrafficPolicy::Cluster,
                PolicyArg::Local => ExternalTrafficPolicy::Local,
            }),
            annotations: args.annotations,
        }
    }
}

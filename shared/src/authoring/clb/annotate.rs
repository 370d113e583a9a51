//! Annotations of a new load balancer: what the flags stand for, and whether the cloud controller will take them.

use super::add::{ChargeType, ClbSettings};
use super::place::Site;
use super::view::{LoadBalancerPort, LoadBalancerService};
use crate::asm::annotations::{
    ANNOTATIONS, CLCU_SINCE, Change, NLB_SINCE, Prefix, Product, at_least, behind_prefix, find, key,
};
use crate::authoring::suggest::did_you_mean;
use crate::authoring::{AddressType, AuthoringError};

pub(super) const ADDRESS_TYPE: &str = "loadbalancer-address-type";
const SPEC: &str = "loadbalancer-spec";
const INSTANCE_CHARGE_TYPE: &str = "loadbalancer-instance-charge-type";
const ZONE_MAPS: &str = "loadbalancer-zone-maps";
const ID: &str = "loadbalancer-id";

/// Keys and values in the order in which they are written.
pub(super) type Annotations = Vec<(String, String)>;

/// The annotations that the settings stand for.
pub(super) fn annotations(settings: &ClbSettings) -> Result<Annotations, AuthoringError> {
    let mut all: Annotations = Vec::new();
    if let Some(network) = settings.network {
        all.push((key(ADDRESS_TYPE), word(network).to_owned()));
    }
    if let Some(charge_type) = settings.charge_type {
        let word = match charge_type {
            ChargeType::PayBySpec => "PayBySpec",
            ChargeType::PayByClcu => "PayByCLCU",
        };
        all.push((key(INSTANCE_CHARGE_TYPE), word.to_owned()));
    }
    all.extend(settings.spec.iter().map(|spec| (key(SPEC), spec.clone())));
    if !settings.zones.is_empty() {
        all.push((key(ZONE_MAPS), settings.zones.join(",")));
    }
    for (name, value) in &settings.annotations {
        let same = |known: &str| known == name || (find(known).is_some() && find(known) == find(name));
        if let Some((other, _)) = all.iter().find(|(known, _)| same(known)) {
            return Err(AuthoringError::new(format!("{name} is given twice"))
                .hint(format!("the other one is {other}: leave one of them out")));
        }
        all.push((name.clone(), value.clone()));
    }
    check_values(&all, settings)?;
    Ok(all)
}

fn word(network: AddressType) -> &'static str {
    match network {
        AddressType::Internet => "internet",
        AddressType::Intranet => "intranet",
    }
}

/// The value of a setting among annotations to be written.
pub(super) fn value<'a>(all: &'a Annotations, name: &str) -> Option<&'a str> {
    all.iter().find(|(key, _)| behind_prefix(key) == Some(name)).map(|(_, value)| value.as_str())
}

fn check_values(all: &Annotations, settings: &ClbSettings) -> Result<(), AuthoringError> {
    for (name, value) in all {
        let Some(row) = find(name) else { continue };
        if let Err(allowed) = row.check(value) {
            return Err(AuthoringError::new(format!("{name} cannot be `{value}`: {allowed}"))
                .hints(did_you_mean(value, row.values.words().iter().copied())));
        }
    }
    if settings.nlb {
        if let Some(flag) = [("--spec", settings.spec.is_some()), ("--charge-type", settings.charge_type.is_some())]
            .iter()
            .find_map(|(flag, given)| given.then_some(*flag))
        {
            return Err(AuthoringError::new(format!(
                "an NLB has no {flag}: the cloud controller reads it for CLBs only"
            ))
            .hint(format!("leave {flag} out")));
        }
        let zones = value(all, ZONE_MAPS).map_or(0, |maps| maps.split(',').count());
        if zones < 2 && value(all, ID).is_none() {
            return Err(AuthoringError::new("an NLB needs two zones at least")
                .hint("name them with --zone ZONE:VSWITCH, once for each: --zone cn-hangzhou-h:vsw-1 --zone cn-hangzhou-i:vsw-2"));
        }
        let malformed = value(all, ZONE_MAPS).into_iter().flat_map(|maps| maps.split(',')).find(|zone| {
            let mut parts = zone.split(':');
            parts.next().is_none_or(str::is_empty) || !parts.next().is_some_and(|vsw| vsw.starts_with("vsw-"))
        });
        if let Some(zone) = malformed {
            return Err(AuthoringError::new(format!("`{zone}` is not ZONE:VSWITCH, for example cn-hangzhou-h:vsw-1")));
        }
    } else if !settings.zones.is_empty() {
        return Err(AuthoringError::new("a CLB takes no zones with their vSwitches").hint("did you mean --nlb?"));
    }
    Ok(())
}

/// What is allowed but perhaps not meant, and what may not be: reuse of a load balancer that is used already.
pub(super) fn judge(
    all: &Annotations,
    settings: &ClbSettings,
    sites: &[Site<'_>],
    ports: &[LoadBalancerPort],
    existing: &[LoadBalancerService],
) -> Result<Vec<String>, AuthoringError> {
    let product = if settings.nlb { Product::Nlb } else { Product::Clb };
    let mut warnings = Vec::new();
    for (name, _) in all {
        let Some(row) = find(name) else {
            if let Some(given) = behind_prefix(name) {
                let known = ANNOTATIONS.iter().filter(|row| row.prefix == Prefix::Either).map(|row| row.name);
                let near = did_you_mean(given, known).map(|near| format!("; {near}")).unwrap_or_default();
                warnings.push(format!("the cloud controller knows no {name} and will ignore it{near}"));
            }
            continue;
        };
        if row.change(product) == Change::Unknown {
            warnings.push(
                format!("the cloud controller does not read {} for an {}", row.name, product.word())
                    .replace("an CLB", "a CLB"),
            );
        }
        for (site, version) in older(sites, row.since) {
            warnings.push(format!(
                "{} is read from cloud controller {} on, and {site} has {version}",
                row.name,
                row.since.unwrap_or_default()
            ));
        }
    }
    if settings.nlb {
        warnings.extend(
            older(sites, Some(NLB_SINCE))
                .map(|(site, version)| format!("NLBs need cloud controller {NLB_SINCE}, and {site} has {version}")),
        );
        let kubernetes = sites.iter().filter_map(|site| Some((site, site.cluster.kubernetes_version.as_deref()?)));
        warnings.extend(
            kubernetes
                .filter(|(_, version)| at_least(version, "1.24") == Some(false))
                .map(|(site, version)| format!("NLBs need Kubernetes 1.24, and {} has {version}", site.cluster.name)),
        );
    }
    warnings.extend(billing(all, sites));
    reuse(all, sites, ports, existing, &mut warnings)?;
    Ok(warnings)
}

/// Clusters whose cloud controller is known to be older than a version.
fn older<'a>(sites: &'a [Site<'_>], since: Option<&'a str>) -> impl Iterator<Item = (&'a str, &'a str)> {
    sites.iter().filter_map(move |site| {
        let version = site.cluster.cloud_controller_version.as_deref()?;
        (at_least(version, since?) == Some(false)).then_some((site.cluster.name.as_str(), version))
    })
}

/// A specification counts only where the CLB is paid by it.
fn billing(all: &Annotations, sites: &[Site<'_>]) -> Option<String> {
    let spec = value(all, SPEC)?;
    match value(all, INSTANCE_CHARGE_TYPE) {
        Some(paid) if paid.eq_ignore_ascii_case("PayBySpec") => None,
        Some(_) => Some(format!(
            "the specification {spec} has no effect on a CLB that is paid by PayByCLCU: leave one of the two out"
        )),
        None => {
            let new = |site: &&Site<'_>| {
                let version = site.cluster.cloud_controller_version.as_deref();
                version.is_none_or(|version| at_least(version, CLCU_SINCE) != Some(false))
            };
            let clusters: Vec<String> = sites
                .iter()
                .filter(new)
                .map(|site| match &site.cluster.cloud_controller_version {
                    Some(version) => format!("{} ({version})", site.cluster.name),
                    None => format!("{} (version not in fleet.yaml)", site.cluster.name),
                })
                .collect();
            (!clusters.is_empty()).then(|| {
                format!(
                    "the specification {spec} has no effect with cloud controller {CLCU_SINCE} and later, which makes CLBs \
                     PayByCLCU: {}; add --charge-type PayBySpec",
                    clusters.join(", ")
                )
            })
        }
    }
}

/// Sharing a load balancer: the risks are said before anything is written.
fn reuse(
    all: &Annotations,
    sites: &[Site<'_>],
    ports: &[LoadBalancerPort],
    existing: &[LoadBalancerService],
    warnings: &mut Vec<String>,
) -> Result<(), AuthoringError> {
    let Some(id) = value(all, ID) else { return Ok(()) };
    if let [first, second, ..] = sites {
        return Err(AuthoringError::new(format!(
            "{id} would be shared by {} and {}: clusters cannot share a load balancer",
            first.cluster.name, second.cluster.name
        ))
        .hint("add it to one cluster: --cluster NAME"));
    }
    for other in existing.iter().filter(|other| other.reuses.as_deref() == Some(id)) {
        let clash = other.ports.iter().find(|port| ports.iter().any(|own| own.port == port.port));
        let in_other_cluster = sites.iter().any(|site| site.cluster.name != other.cluster);
        let problem = match clash {
            _ if in_other_cluster => "clusters cannot share a load balancer".to_owned(),
            Some(port) => format!("both would take port {}", port.port),
            None => {
                warnings.push(format!(
                    "{id} is shared with {} of {}: an outage, a limit or a deletion of it concerns both",
                    other.name, other.cluster
                ));
                continue;
            }
        };
        return Err(AuthoringError::new(format!(
            "{id} is used by {} of {} already: {problem}",
            other.name, other.cluster
        ))
        .at(&other.position)
        .hint("give this Service a load balancer of its own: leave loadbalancer-id out"));
    }
    warnings.push(format!(
        "{id} is reused: it must have been made in the console or by the API (the cloud controller refuses its own), in this \
         cluster's VPC, and it cannot be exchanged later"
    ));
    warnings.push(match value(all, "loadbalancer-force-override-listeners") {
        Some("true") => format!("listeners of {id} on the same ports are overwritten, whoever made them"),
        _ => format!(
            "without loadbalancer-force-override-listeners \"true\" no listener is made on {id}: it serves nothing until \
             somebody points listeners to its new server groups"
        ),
    });
    Ok(())
}

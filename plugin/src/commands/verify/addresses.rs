//! The addresses of gateways: by name, or by what the clusters say.

use super::VerifyArgs;
use crate::context::{Context, FleetRepo};
use crate::error::CommandError;
use crate::live::{self, LiveTargetName, request_failed, several};
use asm_io::cluster::{ClusterError, Resource};
use asm_shared::asm::addresses;
use asm_shared::asm::gateway::is_serverless;
use asm_shared::authoring::LoadBalancerService;
use asm_shared::fleet::{Manifest, Target};
use asm_shared::object::GroupKind;
use asm_shared::object::kinds::ASM;
use asm_shared::verify::Ask;
use k8s_openapi::api::core::v1::Service;
use kube::Client;
use kube::api::Api;

const NAMESPACE: &str = "istio-system";

/// An address of a gateway.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Name of the gateway.
    pub(super) gateway: String,
    /// Cluster of the load balancer.
    pub(super) cluster: Option<String>,
    /// Service of the load balancer.
    pub(super) service: Option<String>,
    /// Its ports; all that the gateway has when empty.
    pub(super) ports: Vec<u16>,
    /// IP or host name.
    pub(super) address: String,
}

impl Place {
    /// Is this to be asked here? A further load balancer may have fewer ports than the gateway.
    pub(super) fn takes(&self, ask: &Ask) -> bool {
        self.gateway == ask.gateway && (self.ports.is_empty() || self.ports.contains(&ask.port))
    }
}

/// The addresses that were found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) places: Vec<Place>,
    /// Load balancers without an address.
    pub(super) gaps: Vec<String>,
    pub(super) error: Option<CommandError>,
}

/// Those of some gateways.
pub(super) fn find(
    context: &Context,
    repo: &FleetRepo,
    gateways: &[&Manifest],
    args: &VerifyArgs,
) -> Result<Found, CommandError> {
    if !args.addresses.is_empty() {
        return named(gateways, &args.addresses);
    }
    let names: Vec<&str> = gateways.iter().map(|gateway| &*gateway.id.name).collect();
    let services: Vec<LoadBalancerService> = LoadBalancerService::all(&repo.state)
        .into_iter()
        .filter(|service| service.gateways.iter().any(|gateway| names.contains(&gateway.as_str())))
        .filter(|service| args.cluster.is_empty() || args.cluster.contains(&service.cluster))
        .collect();
    let serverless: Vec<&Manifest> =
        gateways.iter().copied().filter(|gateway| is_serverless(&gateway.object) && args.cluster.is_empty()).collect();
    let mut targets = live::chosen(context, repo.fleet()?, &[])?;
    targets.retain(|target| match &target.target {
        Target::Mesh => !serverless.is_empty(),
        Target::Cluster(name) => services.iter().any(|service| *service.cluster == **name),
    });
    let answers = several::ask(context, "reading addresses", &targets, async |target, client| match &target.target {
        Target::Mesh => of_mesh(target, client, &serverless).await,
        Target::Cluster(name) => {
            let here = services.iter().filter(|service| *service.cluster == **name).collect::<Vec<_>>();
            of_member(target, client, &here, &names).await
        }
    })?;
    let mut found = Found { error: several::as_one(answers.errors), ..Found::default() };
    for (places, gaps) in answers.found {
        found.places.extend(places);
        found.gaps.extend(gaps);
    }
    Ok(found)
}

fn named(gateways: &[&Manifest], addresses: &[String]) -> Result<Found, CommandError> {
    let [gateway] = gateways else {
        return Err(CommandError::usage("whose address is that? --address needs the name of a gateway")
            .hinted("write: kubectl asm verify GATEWAY --address IP"));
    };
    let place = |address: &String| Place {
        gateway: gateway.id.name.to_string(),
        cluster: None,
        service: None,
        ports: Vec::new(),
        address: address.clone(),
    };
    Ok(Found { places: addresses.iter().map(place).collect(), ..Found::default() })
}

type Answer = Result<(Vec<Place>, Vec<String>), CommandError>;

/// Serverless gateways have their addresses in the mesh.
async fn of_mesh(target: &LiveTargetName, client: Client, gateways: &[&Manifest]) -> Answer {
    let (mut places, mut gaps) = (Vec::new(), Vec::new());
    for gateway in gateways {
        let name = &*gateway.id.name;
        let kind = GroupKind::new(ASM, "IstioGateway");
        let Some(resource) = Resource::known(&kind, &gateway.api_version) else { continue };
        let found = resource.objects(client.clone(), Some(NAMESPACE)).get_opt(name).await.map_err(|error| {
            request_failed(&target.kube_context, &format!("read IstioGateway {name}"), &ClusterError::from(error))
        })?;
        let value = found.map(|object| serde_json::to_value(object).unwrap_or_default()).unwrap_or_default();
        let known = addresses::of_istio_gateway(&value);
        if known.is_empty() {
            gaps.push(format!("{name} has no address in the mesh"));
        }
        places.extend(known.into_iter().map(|address| Place {
            gateway: name.to_owned(),
            cluster: Some("mesh".to_owned()),
            service: None,
            ports: Vec::new(),
            address,
        }));
    }
    Ok((places, gaps))
}

async fn of_member(
    target: &LiveTargetName,
    client: Client,
    services: &[&LoadBalancerService],
    names: &[&str],
) -> Answer {
    let (mut places, mut gaps) = (Vec::new(), Vec::new());
    for service in services {
        let api: Api<Service> = Api::namespaced(client.clone(), &service.namespace);
        let found = api.get_opt(&service.name).await.map_err(|error| {
            let doing = format!("read Service {}/{}", service.namespace, service.name);
            request_failed(&target.kube_context, &doing, &ClusterError::from(error))
        })?;
        let value = found.map(|object| serde_json::to_value(object).unwrap_or_default()).unwrap_or_default();
        let known = addresses::of_service(&value);
        if known.is_empty() {
            let what = if value.is_null() { "is not there" } else { "has no address yet" };
            gaps.push(format!("Service {}/{} {what} in {}", service.namespace, service.name, service.cluster));
        }
        let ports: Vec<u16> = service.ports.iter().filter_map(|port| u16::try_from(port.port).ok()).collect();
        for gateway in service.gateways.iter().filter(|gateway| names.contains(&gateway.as_str())) {
            places.extend(known.iter().map(|address| Place {
                gateway: gateway.clone(),
                cluster: Some(service.cluster.clone()),
                service: Some(service.name.clone()),
                ports: ports.clone(),
                address: address.clone(),
            }));
        }
    }
    Ok((places, gaps))
}

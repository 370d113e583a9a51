//! One Gateway for several ingress gateways, by a label that their pods have in common.

use super::super::fleet_view::{check_name, ensure_free, fleet, namespace};
use super::super::suggest::did_you_mean;
use super::super::text::{File, Node, field, list};
use super::super::workspace::{Change, Workspace};
use super::super::{AuthoringError, Plan};
use super::check::{LABEL_HINT, is_label};
use super::edit::changes;
use super::path::GatewayPath;
use super::{RESERVED_LABELS, find, gateways, written};
use crate::asm::{gateway, usage};
use crate::fleet::{FleetState, Manifest, Target, Tree};
use crate::object::At as _;
use crate::object::kinds::ISTIO_NETWORKING;
use serde_json::{Value, json};

/// Let gateways share one Gateway (Istio).
#[derive(Clone, Debug, Default)]
pub struct ShareGateway {
    /// Names of the IstioGateways.
    pub gateways: Vec<String>,
    /// The label that their pods get.
    pub label: (String, String),
    /// Name of the Gateway; the only one that selects one of them when absent.
    pub gateway: Option<String>,
    /// Its namespace; `default` when absent.
    pub namespace: Option<String>,
    /// Make the Gateway.
    pub new_gateway: Option<NewSharedGateway>,
}

/// A Gateway to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSharedGateway {
    /// Port that the pods listen on, for plain HTTP.
    pub port: u16,
    /// Hosts of the requests.
    pub hosts: Vec<String>,
}

impl ShareGateway {
    /// The edits of the gateways, and of the Gateway or its new file.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        fleet(state)?;
        self.check_label()?;
        let mut proxies: Vec<&Manifest> = Vec::new();
        for name in &self.gateways {
            let proxy = find(state, name)?;
            if !proxies.iter().any(|known| known.id == proxy.id) {
                proxies.push(proxy);
            }
        }
        let mut workspace = Workspace::new(tree);
        let mut warnings = Vec::new();
        for proxy in &proxies {
            let after = self.labelled(proxy)?;
            let changes = changes(&proxy.object, &after);
            if !changes.is_empty() {
                workspace.change(proxy, &changes)?;
                warnings.push(format!("{}: rolling restart of the gateway's pods (podLabels)", proxy.id.name));
            }
        }
        warnings.extend(self.caught(state, &proxies));
        self.select(tree, state, &proxies, &mut workspace, &mut warnings)?;
        Ok(Plan { edits: workspace.finish(), warnings })
    }

    fn check_label(&self) -> Result<(), AuthoringError> {
        let (key, value) = &self.label;
        if RESERVED_LABELS.contains(&key.as_str()) {
            return Err(AuthoringError::new(format!(
                "the label {key} is reserved: ASM sets {} on the pods itself",
                RESERVED_LABELS.join(", ")
            ))
            .hint("choose another label, for example share=edge"));
        }
        if value.is_empty() || !is_label(key, value) {
            return Err(AuthoringError::new(format!("`{key}={value}` is not a label")).hint(LABEL_HINT));
        }
        Ok(())
    }

    /// The gateway with the label, for all clusters and where a cluster has pod labels of its own.
    fn labelled(&self, proxy: &Manifest) -> Result<Value, AuthoringError> {
        let (key, value) = &self.label;
        let mut after = Value::clone(&proxy.object);
        let overrides = proxy.object.at("/spec/overrides").and_then(Value::as_object).into_iter().flatten();
        let own = overrides.filter(|(_, part)| part.get("podLabels").is_some());
        let places = std::iter::once(vec!["spec", "podLabels", key.as_str()])
            .chain(own.map(|(id, _)| vec!["spec", "overrides", id.as_str(), "podLabels", key.as_str()]));
        for fields in places {
            let pointer: String =
                fields.iter().map(|field| format!("/{}", field.replace('~', "~0").replace('/', "~1"))).collect();
            if let Some(other) = after.at(&pointer).filter(|other| *other != value.as_str()) {
                return Err(AuthoringError::new(format!(
                    "the pods of {} have the label {key}={} already",
                    proxy.id.name,
                    plain(other)
                ))
                .at(&proxy.position_of(&pointer))
                .hint("choose another label: a Gateway may select these pods by that one"));
            }
            GatewayPath::of(fields).set(&mut after, value.as_str().into()).map_err(AuthoringError::new)?;
        }
        Ok(after)
    }

    /// Gateways that have the label already and are not meant.
    fn caught(&self, state: &FleetState, proxies: &[&Manifest]) -> Vec<String> {
        let selector = json!({ self.label.0.as_str(): self.label.1 });
        let others = gateways(state).filter(|other| !proxies.iter().any(|proxy| proxy.id == other.id));
        let caught = others.filter(|other| usage::selects(Some(&selector), &other.id.name, &other.object));
        let told = |other: &Manifest| {
            format!(
                "{} ({}) has the label {} as well: the Gateway reaches its pods too",
                other.id.name,
                other.position,
                written(std::slice::from_ref(&self.label))
            )
        };
        caught.map(told).collect()
    }

    /// Gives the Gateway its selector.
    fn select(
        &self,
        tree: &dyn Tree,
        state: &FleetState,
        proxies: &[&Manifest],
        workspace: &mut Workspace<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<(), AuthoringError> {
        let (key, value) = &self.label;
        let wanted = json!({ key.as_str(): value });
        if let Some(new) = &self.new_gateway {
            for proxy in proxies {
                warnings.extend(closed(proxy, &[u64::from(new.port)]));
            }
            let (path, text) = self.created(tree, state, new)?;
            workspace.create(path, text);
            return Ok(());
        }
        let shared = self.shared(state, proxies)?;
        if shared.object.at("/spec/selector") == Some(&wanted) {
            return Ok(());
        }
        let old = shared.object.at("/spec/selector");
        let left = gateways(state).filter(|other| {
            usage::selects(old, &other.id.name, &other.object) && !proxies.iter().any(|proxy| proxy.id == other.id)
        });
        for other in left.filter(|other| !usage::selects(Some(&wanted), &other.id.name, &other.object)) {
            warnings.push(format!(
                "{} ({}) is selected by {} now and will not be any more: its clients get no route. Name it as well, if it is to share",
                other.id.name, other.position, shared.id
            ));
        }
        let servers = shared.object.at("/spec/servers").and_then(Value::as_array);
        let ports: Vec<u64> =
            servers.into_iter().flatten().filter_map(|server| server.at("/port/number")?.as_u64()).collect();
        for proxy in proxies {
            warnings.extend(closed(proxy, &ports));
        }
        workspace.change(shared, &[Change::Set("/spec/selector".to_owned(), wanted)])
    }

    /// The Gateway that is meant.
    fn shared<'a>(&self, state: &'a FleetState, proxies: &[&Manifest]) -> Result<&'a Manifest, AuthoringError> {
        let wanted = self.namespace.as_deref();
        let all = || {
            state.manifests_of(&Target::Mesh).filter(move |manifest| {
                manifest.group_kind().is(ISTIO_NETWORKING, "Gateway")
                    && wanted.is_none_or(|wanted| namespace(manifest) == wanted)
            })
        };
        if let Some(name) = &self.gateway {
            let same: Vec<_> = all().filter(|manifest| *manifest.id.name == **name).collect();
            return match same[..] {
                [one] => Ok(one),
                [] => Err(AuthoringError::new(format!("there is no Gateway {name}"))
                    .hints(did_you_mean(name, all().map(|manifest| &*manifest.id.name)))
                    .hint("make it with --create-gateway, with --port and --host if they are not 80 and '*'")),
                _ => Err(AuthoringError::new(format!("there are several Gateways {name}"))
                    .hint("choose a namespace with -n")),
            };
        }
        let selecting: Vec<_> = all()
            .filter(|manifest| {
                let selector = manifest.object.at("/spec/selector");
                proxies.iter().any(|proxy| usage::selects(selector, &proxy.id.name, &proxy.object))
            })
            .collect();
        match selecting[..] {
            [one] => Ok(one),
            [] => Err(AuthoringError::new("no Gateway selects any of these gateways: which one shall they share?")
                .hint("name it with --gateway NAME, and make it with --create-gateway if it is new")),
            _ => {
                let names: Vec<_> =
                    selecting.iter().map(|manifest| format!("{}/{}", namespace(manifest), manifest.id.name)).collect();
                Err(AuthoringError::new(format!("several Gateways select these gateways: {}", names.join(", ")))
                    .hint("say which one they shall share with --gateway NAME"))
            }
        }
    }

    fn created(
        &self,
        tree: &dyn Tree,
        state: &FleetState,
        new: &NewSharedGateway,
    ) -> Result<(String, String), AuthoringError> {
        let name = self
            .gateway
            .as_deref()
            .ok_or_else(|| AuthoringError::new("the new Gateway has no name").hint("name it with --gateway NAME"))?;
        check_name("a Gateway", name, 63)?;
        let space = self.namespace.as_deref().unwrap_or("default");
        let existing = state.manifests_of(&Target::Mesh).find(|manifest| {
            manifest.group_kind().is(ISTIO_NETWORKING, "Gateway")
                && *manifest.id.name == *name
                && namespace(manifest) == space
        });
        if let Some(existing) = existing {
            return Err(AuthoringError::new(format!("the Gateway {name} exists already"))
                .at(&existing.position)
                .hint("leave --create-gateway out to use it"));
        }
        let path = match self.namespace.as_deref() {
            None | Some("default") => format!("mesh/routes/{name}.yaml"),
            Some(space) => format!("mesh/routes/{space}/{name}.yaml"),
        };
        ensure_free(tree, &path)?;
        let (key, value) = &self.label;
        let mut metadata = vec![field("name", name)];
        metadata.extend(self.namespace.as_deref().map(|space| field("namespace", space)));
        let port_name = if new.port == 80 { "http".to_owned() } else { format!("http-{}", new.port) };
        let server = [
            field("port", [field("number", new.port), field("name", port_name), field("protocol", "HTTP")]),
            field("hosts", list(new.hosts.iter().map(String::as_str))),
        ];
        let spec = vec![
            field("selector", [field(key.as_str(), value.as_str())])
                .comment(format!("A label that the pods of {} have in common.", self.gateways.join(", "))),
            field("servers", list([server])),
        ];
        let object: Node = [
            field("apiVersion", "networking.istio.io/v1beta1"),
            field("kind", "Gateway"),
            field("metadata", metadata),
            field("spec", spec),
        ]
        .into();
        let mut file = File::default();
        file.push(&["Opens a port on several ingress gateways for these hosts."], &object);
        Ok((path, file.finish()))
    }
}

/// Ports of the Gateway at which the gateway's Service does not listen.
fn closed(proxy: &Manifest, ports: &[u64]) -> Option<String> {
    let open = gateway::ports(&proxy.object);
    let missing: Vec<_> = ports.iter().filter(|port| !open.contains(port)).map(u64::to_string).collect();
    (!missing.is_empty()).then(|| {
        format!(
            "{} ({}) does not expose port {}, which the Gateway opens",
            proxy.id.name,
            proxy.position,
            missing.join(", ")
        )
    })
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

//! istiod: reads the mesh API and both kinds of clusters' APIs, serves xDS in plaintext on the lab's own address.
//!
//! | setting | without it |
//! |---|---|
//! | `PILOT_ENABLE_{ALPN_FILTER,METADATA_EXCHANGE,TELEMETRY_LABEL}=false`, no providers, no Prometheus merge | stock Envoy refuses filters that it does not have |
//! | no CA server, no certificate provider, no webhooks | istiod waits for certificates |
//! | `XDS_AUTH_PLAINTEXT`, `TRUSTED_GATEWAY_CIDR` | plaintext xDS hands out no secrets: HTTPS never works |
//! | `enableAutoMtls: false` | clusters wait for client certificates, no listener ever comes |
//! | PeerAuthentication `DISABLE` | a sidecar's inbound listener waits for a certificate, Envoy never starts its workers |
//! | Sidecar with a listener for port 9080 on 127.0.0.1 | without iptables nothing leads an app's requests to its sidecar. (An HTTP proxy by `proxyHttpPort` finds no service: its hosts carry ports, which Envoy is told to ignore) |

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context as _, Result, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{Programs, client, network::HOST};
use crate::{Access, MESH, Supervised, apply_value, users, wait_for};

/// Port of xDS on the lab's own address.
pub(super) const XDS: u16 = 15010;
/// Port on 127.0.0.1 on which a sidecar takes its app's requests to services of this port: Bookinfo's.
pub(super) const SIDECAR: u16 = 9080;
const READY: u16 = 8080;

const ENVIRONMENT: &[(&str, &str)] = &[
    ("POD_NAMESPACE", "istio-system"),
    ("POD_NAME", "istiod-0"),
    ("CLUSTER_ID", MESH),
    ("REVISION", "default"),
    ("XDS_AUTH_PLAINTEXT", "true"),
    ("TRUSTED_GATEWAY_CIDR", "10.244.0.0/16"),
    ("ENABLE_CA_SERVER", "false"),
    ("PILOT_CERT_PROVIDER", "none"),
    ("VALIDATION_ENABLED", "false"),
    ("INJECT_ENABLED", "false"),
    ("PILOT_ENABLE_ALPN_FILTER", "false"),
    ("PILOT_ENABLE_METADATA_EXCHANGE", "false"),
    ("PILOT_ENABLE_TELEMETRY_LABEL", "false"),
    ("PILOT_ENABLE_GATEWAY_API", "false"),
    ("PILOT_ENABLE_ANALYSIS", "false"),
];

/// Starts istiod and waits until it serves what the clusters hold.
pub(super) async fn start(programs: &Programs, access: &Access, dir: &Path, members: &[String]) -> Result<Supervised> {
    introduce(access, members).await?;
    let kubeconfig = dir.join("istiod.kubeconfig");
    fs::write(&kubeconfig, access.kubeconfig_text(MESH, users::ISTIOD)?)?;
    let mesh_config = dir.join("mesh.yaml");
    let config = json!({
        "defaultConfig": {"discoveryAddress": format!("{HOST}:{XDS}")},
        "enableAutoMtls": false,
        "enablePrometheusMerge": false,
        "defaultProviders": {},
    });
    fs::write(&mesh_config, config.to_string())?;
    let mut command = programs.istiod();
    command
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .arg(format!("--meshConfig={}", mesh_config.display()))
        .arg(format!("--grpcAddr={HOST}:{XDS}"))
        .arg(format!("--httpAddr=127.0.0.1:{READY}"))
        .arg("--monitoringAddr=127.0.0.1:15014")
        .args(["--networksConfig=/dev/null", "--secureGRPCAddr=", "--httpsAddr=", "--ctrlz_port=0"])
        .arg("--clusterRegistriesNamespace=istio-system")
        .envs(ENVIRONMENT.iter().copied());
    let log = dir.join("istiod.log");
    let mut process = Supervised::start("istiod", command, &log)?;
    let ready = SocketAddr::from(([127, 0, 0, 1], READY));
    let waited = wait_for("istiod is ready", Duration::from_secs(60), || {
        let ended = process.exited();
        async move {
            if let Some(status) = ended? {
                return Ok(Some(Err(status)));
            }
            Ok((client::ask(ready, "istiod", "/ready").await?.status == 200).then_some(Ok(())))
        }
    })
    .await;
    match waited {
        Ok(Ok(())) => Ok(process),
        Ok(Err(status)) => bail!("istiod ended while starting ({status}):\n{}", process.log_tail()),
        Err(error) => Err(error).with_context(|| format!("{}\nlog: {}", process.log_tail(), log.display())),
    }
}

/// Tells istiod of the member clusters, that nobody here has certificates, and how apps reach their sidecars.
async fn introduce(access: &Access, members: &[String]) -> Result<()> {
    let mesh = access.client(MESH, users::LAB, "asm-lab")?;
    for member in members {
        // Token and authority in the file itself: istiod refuses anything that it would have to run.
        let kubeconfig = STANDARD.encode(access.kubeconfig_text(member, users::ISTIOD)?);
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {
                "name": format!("istio-remote-secret-{member}"), "namespace": "istio-system",
                "labels": {"istio/multiCluster": "true"},
                "annotations": {"networking.istio.io/cluster": member},
            },
            "data": {member: kubeconfig},
        });
        apply_value(&mesh, secret, "lab").await?;
    }
    let plain = json!({
        "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
        "metadata": {"name": "default", "namespace": "istio-system"},
        "spec": {"mtls": {"mode": "DISABLE"}},
    });
    // In the root namespace: for every sidecar that has no Sidecar of its own.
    let redirected = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "Sidecar",
        "metadata": {"name": "default", "namespace": "istio-system"},
        "spec": {"egress": [{
            "port": {"number": SIDECAR, "protocol": "HTTP", "name": "http"},
            "bind": "127.0.0.1", "captureMode": "NONE", "hosts": ["*/*"],
        }]},
    });
    for object in [plain, redirected] {
        apply_value(&mesh, object, "lab").await?;
    }
    Ok(())
}

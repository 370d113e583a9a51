//! How to reach an API server as some user: client configurations and kubeconfigs.

use std::{collections::BTreeMap, fmt::Write as _, str::FromStr as _, sync::Arc};

use anyhow::{Context, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, Uri};

use crate::{pki::Pki, users::Tokens};

/// Addresses, authority and tokens of a lab. Cheap to clone; tasks carry one.
#[derive(Clone)]
pub struct Access {
    inner: Arc<Inner>,
}

struct Inner {
    ca_pem: String,
    ca_der: Vec<u8>,
    tokens: Tokens,
    /// Context → `https://127.0.0.1:PORT`.
    servers: BTreeMap<String, String>,
}

impl Access {
    pub(crate) fn new(pki: &Pki, tokens: Tokens, servers: BTreeMap<String, String>) -> Self {
        let inner = Inner { ca_pem: pki.ca_pem().to_owned(), ca_der: pki.ca_der().to_vec(), tokens, servers };
        Self { inner: Arc::new(inner) }
    }

    /// The URL of a context's API server.
    pub fn server(&self, context: &str) -> Result<&str> {
        self.inner.servers.get(context).map(String::as_str).with_context(|| {
            let known: Vec<_> = self.inner.servers.keys().map(String::as_str).collect();
            format!("the lab has no context {context:?}; it has {}", known.join(", "))
        })
    }

    /// A client configuration. `agent` is what the audit log shows as user agent.
    pub fn config(&self, context: &str, user: &str, agent: &str) -> Result<kube::Config> {
        let uri = Uri::from_str(self.server(context)?).context("a server's URL is no URI")?;
        let mut config = kube::Config::new(uri);
        config.root_cert = Some(vec![self.inner.ca_der.clone()]);
        config.auth_info.token = Some(self.inner.tokens.of(user)?.to_owned().into());
        config.headers = vec![(HeaderName::from_static("user-agent"), HeaderValue::from_str(agent)?)];
        Ok(config)
    }

    /// A client; belongs to the runtime that calls this.
    pub fn client(&self, context: &str, user: &str, agent: &str) -> Result<kube::Client> {
        kube::Client::try_from(self.config(context, user, agent)?)
            .with_context(|| format!("cannot make a client for {context} as {user}"))
    }

    /// A kubeconfig with one context per API server, all as `user`.
    pub fn kubeconfig(&self, user: &str) -> Result<String> {
        let servers: Vec<_> = self.inner.servers.iter().map(|(c, s)| (c.as_str(), s.as_str())).collect();
        self.render(&servers, "mesh", user)
    }

    /// A kubeconfig for one API server, complete in itself, as it goes into a Secret.
    pub fn kubeconfig_text(&self, context: &str, user: &str) -> Result<String> {
        self.kubeconfig_via(context, user, self.server(context)?)
    }

    /// The same by way of another address, such as a proxy's.
    pub(crate) fn kubeconfig_via(&self, context: &str, user: &str, server: &str) -> Result<String> {
        self.render(&[(context, server)], context, user)
    }

    fn render(&self, servers: &[(&str, &str)], current: &str, user: &str) -> Result<String> {
        let ca = STANDARD.encode(&self.inner.ca_pem);
        let token = self.inner.tokens.of(user)?;
        let mut text = String::from("apiVersion: v1\nkind: Config\nclusters:\n");
        for (name, server) in servers {
            let _ = writeln!(
                text,
                "- name: {name}\n  cluster:\n    server: {server}\n    certificate-authority-data: {ca}"
            );
        }
        text.push_str("contexts:\n");
        for (name, _) in servers {
            let _ = writeln!(text, "- name: {name}\n  context:\n    cluster: {name}\n    user: \"{user}\"");
        }
        let _ =
            write!(text, "users:\n- name: \"{user}\"\n  user:\n    token: \"{token}\"\ncurrent-context: {current}\n");
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubeconfig_is_complete_in_itself_and_verifies() {
        let servers = BTreeMap::from([
            ("mesh".to_owned(), "https://127.0.0.1:1".to_owned()),
            ("m1c1".to_owned(), "https://127.0.0.1:2".to_owned()),
        ]);
        let access = Access::new(&Pki::new().unwrap(), Tokens::new(b"x"), servers);
        let config =
            kube::config::Kubeconfig::from_yaml(&access.kubeconfig_text("m1c1", crate::users::AGENT).unwrap()).unwrap();
        assert_eq!(config.current_context.as_deref(), Some("m1c1"));
        assert_eq!(config.clusters.len(), 1);
        let cluster = config.clusters[0].cluster.as_ref().unwrap();
        assert_eq!(cluster.server.as_deref(), Some("https://127.0.0.1:2"));
        assert!(cluster.certificate_authority_data.is_some() && cluster.insecure_skip_tls_verify.is_none());
        let all = kube::config::Kubeconfig::from_yaml(&access.kubeconfig(crate::users::ADMIN).unwrap()).unwrap();
        assert_eq!(all.contexts.len(), 2);
        assert!(access.kubeconfig_text("m9", "admin").is_err());
    }
}

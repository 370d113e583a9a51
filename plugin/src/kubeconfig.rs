//! kubeconfig files by kubectl's rules, and clients made from them.
//!
//! kube's own `Kubeconfig::from_env` fails on a missing part of the KUBECONFIG list and on parts whose `kind` or
//! `apiVersion` differ; kubectl does neither, and neither does this.

use crate::context::Context;
use crate::error::CommandError;
use crate::globals::GlobalArgs;
use asm_shared::authoring::did_you_mean;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use std::ffi::OsString;
use std::io::ErrorKind as IoErrorKind;
use std::path::PathBuf;
use std::sync::Once;
use std::time::Duration;

/// Loads the kubeconfig that kubectl would use.
pub fn load(context: &Context) -> Result<Kubeconfig, CommandError> {
    let home = std::env::home_dir();
    load_files(files(context.globals.kubeconfig.as_ref(), std::env::var_os("KUBECONFIG"), home), context)
}

/// The files to read, first wins: `--kubeconfig` alone, or the KUBECONFIG list, or `~/.kube/config`.
/// The flag says whether a missing file is an error.
fn files(flag: Option<&PathBuf>, list: Option<OsString>, home: Option<PathBuf>) -> Vec<(PathBuf, bool)> {
    if let Some(file) = flag {
        return vec![(file.clone(), true)];
    }
    let listed = list.iter().flat_map(std::env::split_paths).filter(|path| !path.as_os_str().is_empty());
    let mut files: Vec<_> = listed.map(|path| (path, false)).collect();
    if files.is_empty() {
        files.extend(home.map(|home| (home.join(".kube/config"), false)));
    }
    files
}

fn load_files(files: Vec<(PathBuf, bool)>, context: &Context) -> Result<Kubeconfig, CommandError> {
    let mut merged = Kubeconfig::default();
    for (file, required) in files {
        match std::fs::metadata(&file) {
            Err(error) if error.kind() == IoErrorKind::NotFound && !required => continue,
            Err(error) => {
                return Err(CommandError::input(format!("cannot read kubeconfig {}", file.display()))
                    .caused_by(&error)
                    .hinted("check --kubeconfig and KUBECONFIG"));
            }
            Ok(_) => {}
        }
        let part = Kubeconfig::read_from(&file).map_err(|error| {
            CommandError::input(format!("cannot read kubeconfig {}", file.display())).caused_by(&error)
        })?;
        // kubectl tolerates parts of different kind and apiVersion; kube refuses to merge them.
        let part = Kubeconfig { kind: None, api_version: None, ..part };
        merged = merged.merge(part).map_err(|error| {
            CommandError::input(format!("cannot merge kubeconfig {}", file.display())).caused_by(&error)
        })?;
    }
    if context.globals.verbosity >= 6 {
        context.ui().status(&format!("kubeconfig: {} contexts", merged.contexts.len()));
    }
    Ok(merged)
}

/// Makes a client for one kubeconfig context, with the flags of the command line applied. It does not connect yet: see
/// [`request_error`] for what to make of a failed request.
pub async fn client(context: &Context, kube_context: &str) -> Result<kube::Client, CommandError> {
    client_as(context, kube_context, None).await
}

/// The same, acting as somebody else.
pub async fn client_as(
    context: &Context,
    kube_context: &str,
    user: Option<&str>,
) -> Result<kube::Client, CommandError> {
    install_crypto();
    let mut config = config(context, kube_context).await?;
    if let Some(user) = user {
        config.auth_info.impersonate = Some(user.to_owned());
    }
    kube::Client::try_from(config).map_err(|error| {
        CommandError::unreachable(format!("cannot connect to context {kube_context}"))
            .caused_by(&error)
            .hinted(format!("try: kubectl --context {kube_context} version"))
    })
}

/// The configuration of a client for one kubeconfig context.
async fn config(context: &Context, kube_context: &str) -> Result<Config, CommandError> {
    let flags = &context.globals;
    let kubeconfig = load(context)?;
    let names = || kubeconfig.contexts.iter().map(|context| context.name.as_str());
    if !names().any(|name| name == kube_context) {
        return Err(CommandError::input(format!("the kubeconfig has no context {kube_context}"))
            .hinted_with(did_you_mean(kube_context, names()))
            .hinted("list them with: kubectl config get-contexts; say which one a cluster uses with `context:` in fleet.yaml"));
    }
    let options = KubeConfigOptions {
        context: Some(kube_context.to_owned()),
        cluster: context.kubeconfig_cluster().map(str::to_owned),
        user: flags.user.clone(),
    };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| {
        CommandError::input(format!("cannot use context {kube_context} of the kubeconfig")).caused_by(&error)
    })?;
    apply_flags(&mut config, flags)?;
    Ok(config)
}

fn apply_flags(config: &mut Config, flags: &GlobalArgs) -> Result<(), CommandError> {
    if let Some(server) = &flags.server {
        config.cluster_url = server.parse().map_err(|error| {
            CommandError::usage(format!("--server {server}: not a URL")).because(format!("{error}"))
        })?;
    }
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    let auth = &mut config.auth_info;
    if let Some(token) = &flags.token {
        auth.token = Some(token.clone().into());
        // A token on the command line replaces whatever else the kubeconfig would log in with.
        (auth.token_file, auth.exec, auth.auth_provider) = (None, None, None);
        (auth.username, auth.password) = (None, None);
    }
    if flags.username.is_some() || flags.password.is_some() {
        if flags.token.is_some() {
            return Err(CommandError::usage("--token and --username say two different things: leave one out"));
        }
        (auth.token, auth.token_file, auth.exec, auth.auth_provider) = (None, None, None, None);
        auth.username = flags.username.clone().or_else(|| auth.username.take());
        auth.password = flags.password.clone().map(Into::into).or_else(|| auth.password.take());
    }
    if let Some(file) = &flags.client_certificate {
        (auth.client_certificate, auth.client_certificate_data) = (Some(path(file)), None);
    }
    if let Some(file) = &flags.client_key {
        (auth.client_key, auth.client_key_data) = (Some(path(file)), None);
    }
    if let Some(user) = &flags.impersonate {
        auth.impersonate = Some(user.clone());
    }
    if let Some(uid) = &flags.impersonate_uid {
        auth.impersonate_uid = Some(uid.clone());
    }
    if !flags.impersonate_groups.is_empty() {
        auth.impersonate_groups = Some(flags.impersonate_groups.clone());
    }
    if let Some(file) = &flags.certificate_authority {
        (config.root_cert, config.root_cert_file) = (None, Some(file.clone()));
    }
    if flags.insecure_skip_tls_verify {
        config.accept_invalid_certs = true;
    }
    if let Some(name) = &flags.tls_server_name {
        config.tls_server_name = Some(name.clone());
    }
    if flags.disable_compression {
        config.disable_compression = true;
    }
    if let Some(timeout) = request_timeout(&flags.request_timeout)? {
        (config.connect_timeout, config.read_timeout, config.write_timeout) =
            (Some(timeout), Some(timeout), Some(timeout));
    }
    Ok(())
}

/// `--request-timeout` by kubectl's rules: a Go duration or whole seconds; 0 waits without limit.
pub fn request_timeout(text: &str) -> Result<Option<Duration>, CommandError> {
    let wrong = || {
        CommandError::usage(format!("--request-timeout {text}: not a duration"))
            .hinted("write a number with a unit, for example 30s, 2m or 1m30s; 0 waits without limit")
    };
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok((seconds > 0).then(|| Duration::from_secs(seconds)));
    }
    let (mut rest, mut total) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        total =
            Duration::try_from_secs_f64(number * seconds).ok().and_then(|d| total.checked_add(d)).ok_or_else(wrong)?;
        rest = tail;
    }
    Ok((!total.is_zero()).then_some(total))
}

/// What a failed request means for the user: the server's refusals are told in its own words, everything else means that
/// the cluster could not be reached.
pub fn request_error(kube_context: &str, doing: &str, error: &kube::Error) -> CommandError {
    let message = format!("cannot {doing} (context {kube_context})");
    match error {
        // kube shows a status with its debug form; the message is what people need.
        kube::Error::Api(status) => match status.code {
            401 => CommandError::unreachable(message).because(status.message.clone()).hinted(format!(
                "the credentials were refused; log in again, then try: kubectl --context {kube_context} auth whoami"
            )),
            403 => CommandError::unreachable(message)
                .because(status.message.clone())
                .hinted("the API server does not allow it: ask for the role, or use --as"),
            code if code == 429 || code >= 500 => CommandError::unreachable(message).because(status.message.clone()),
            _ => CommandError::input(message).because(status.message.clone()),
        },
        error => CommandError::unreachable(message)
            .caused_by(error)
            .hinted(format!("is the cluster up and the network open? try: kubectl --context {kube_context} version")),
    }
}

/// Chooses the TLS provider once for the whole program.
fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only when a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_kubectl_reads_them() {
        let read = |text| request_timeout(text).map_err(|error| error.message);
        assert_eq!(read("0"), Ok(None));
        assert_eq!(read("0s"), Ok(None));
        assert_eq!(read("30"), Ok(Some(Duration::from_secs(30))));
        assert_eq!(read("1m30s"), Ok(Some(Duration::from_secs(90))));
        assert_eq!(read("1.5h"), Ok(Some(Duration::from_secs(5400))));
        for wrong in ["", "soon", "3 s", "-1s", "1d"] {
            if wrong.is_empty() {
                assert_eq!(read(wrong), Ok(None));
            } else {
                assert!(read(wrong).is_err(), "{wrong}");
            }
        }
    }

    #[test]
    fn the_flag_replaces_the_list() {
        let list = std::env::join_paths(["a", "", "b"]).unwrap();
        let flag = PathBuf::from("mine");
        assert_eq!(files(Some(&flag), Some(list.clone()), None), [("mine".into(), true)]);
        assert_eq!(files(None, Some(list), None), [("a".into(), false), ("b".into(), false)]);
        assert_eq!(files(None, None, Some("/home/u".into())), [("/home/u/.kube/config".into(), false)]);
    }

    fn context(args: &str) -> Context {
        use clap::Parser as _;
        let words = ["kubectl-asm"].into_iter().chain(args.split_whitespace()).chain(["version"]);
        Context::new(crate::cli::Cli::parse_from(words).globals, false, crate::ui::Ui::new(Default::default(), false))
    }

    #[tokio::test]
    async fn flags_override_the_kubeconfig() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config");
        let text = "
clusters:
- {name: a, cluster: {server: 'https://a.example.com', tls-server-name: a}}
- {name: b, cluster: {server: 'https://b.example.com'}}
users:
- {name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-login, interactiveMode: Never}}}
contexts:
- {name: one, context: {cluster: a, user: u}}
";
        std::fs::write(&file, text).unwrap();
        let flags = format!(
            "--kubeconfig {} --cluster b --token t --as me --as-group g --as-group h --as-uid 7 --request-timeout 1m \
             --insecure-skip-tls-verify --tls-server-name x --disable-compression",
            file.display()
        );
        let config = config(&context(&flags), "one").await.unwrap();
        assert_eq!(config.cluster_url.host(), Some("b.example.com"));
        assert_eq!(config.auth_info.impersonate.as_deref(), Some("me"));
        assert_eq!(config.auth_info.impersonate_uid.as_deref(), Some("7"));
        assert_eq!(config.auth_info.impersonate_groups, Some(vec!["g".to_owned(), "h".to_owned()]));
        assert_eq!(config.read_timeout, Some(Duration::from_secs(60)));
        assert_eq!(config.tls_server_name.as_deref(), Some("x"));
        assert!(config.auth_info.token.is_some() && config.auth_info.exec.is_none(), "no login program runs");
        assert!(config.accept_invalid_certs && config.disable_compression);

        let flags = format!("--kubeconfig {} --server https://c.example.com:6443", file.display());
        assert_eq!(super::config(&context(&flags), "one").await.unwrap().cluster_url.port_u16(), Some(6443));
        let error = super::config(&context(&flags), "on").await.unwrap_err();
        assert_eq!(error.message, "the kubeconfig has no context on");
        let error = super::config(&context("--kubeconfig /no/such/file"), "one").await.unwrap_err();
        assert_eq!(error.message, "cannot read kubeconfig /no/such/file");
    }
}

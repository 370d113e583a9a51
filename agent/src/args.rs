//! The command line. Every option has an environment variable `ASM_AGENT_…`, for Deployments.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;

use crate::credentials::Limits;
use crate::log::LogFormat;
use crate::notify::Reach;
use crate::run::{self, Settings, Web};

/// Keeps a mesh API and its member clusters at what a Git repository says.
///
/// Reads FleetSync objects of one namespace, pulls the repository each of them names, applies its objects, and reports
/// what differs from Git. Normally runs in a cluster, installed with `kubectl apply -k manifests/install`.
///
/// Exit codes: 0 ended as asked (with --once: synced and healthy), 1 not synced, held back or drifted, 2 wrong options or
/// input, 3 a cluster or Git server could not be reached.
#[derive(Debug, Parser)]
#[command(name = "asm-agent", version, max_term_width = 120)]
pub struct Args {
    /// Kubeconfig of the host cluster, where FleetSyncs live; without it, the service account of the pod is used
    #[arg(long, env = "ASM_AGENT_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Context of that kubeconfig; its current context by default
    #[arg(long, env = "ASM_AGENT_CONTEXT", value_name = "NAME", requires = "kubeconfig")]
    context: Option<String>,

    /// Namespace of the FleetSyncs, their Secrets and the agent's Leases; the pod's own by default, or asm-system
    #[arg(long, short, env = "ASM_AGENT_NAMESPACE", value_name = "NAME", value_parser = namespace)]
    namespace: Option<String>,

    /// FleetSyncs of all namespaces, each with the Secrets of its own; the agent's Leases stay in --namespace
    #[arg(long, short = 'A', env = "ASM_AGENT_ALL_NAMESPACES", conflicts_with = "once")]
    all_namespaces: bool,

    /// Service account that targets are worked on as, by impersonation, for FleetSyncs without spec.serviceAccountName
    #[arg(long, env = "ASM_AGENT_DEFAULT_SERVICE_ACCOUNT", value_name = "NAME", value_parser = account)]
    default_service_account: Option<String>,

    /// Sync one commit of this FleetSync, wait until it is synced and healthy, say how it went, and end
    #[arg(long, env = "ASM_AGENT_ONCE", value_name = "FLEETSYNC")]
    once: Option<String>,

    /// With --once: how long to wait
    #[arg(long, env = "ASM_AGENT_TIMEOUT", value_name = "TIME", default_value = "5m", value_parser = duration)]
    timeout: Duration,

    /// Address of /healthz, /readyz and /metrics
    #[arg(long, env = "ASM_AGENT_HTTP_ADDRESS", value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    http_address: SocketAddr,

    /// Address for hints of Git servers, POST /hooks/FLEETSYNC (spec.source.webhook); none are taken without it
    #[arg(long, env = "ASM_AGENT_WEBHOOK_ADDRESS", value_name = "ADDRESS")]
    webhook_address: Option<SocketAddr>,

    /// Address of the live page; there is none without it. On any but a loopback address, --web-token-file is needed
    #[arg(long, env = "ASM_AGENT_WEB_ADDRESS", value_name = "ADDRESS")]
    web_address: Option<SocketAddr>,

    /// Name by which browsers ask for the live page, besides localhost and addresses; may be repeated
    #[arg(
        long = "web-host",
        env = "ASM_AGENT_WEB_HOSTS",
        value_name = "NAME",
        value_delimiter = ',',
        requires = "web_address"
    )]
    web_hosts: Vec<String>,

    /// File with the token that browsers must give as the password (Basic), and programs as Bearer; read at each request
    #[arg(long, env = "ASM_AGENT_WEB_TOKEN_FILE", value_name = "FILE", requires = "web_address")]
    web_token_file: Option<PathBuf>,
    /// Address for API servers that tell of changes before they make them, POST /observe/TOKEN over TLS; none without it
    #[arg(long, env = "ASM_AGENT_OBSERVER_ADDRESS", value_name = "ADDRESS", requires = "observer_files")]
    observer_address: Option<SocketAddr>,

    /// Folder with tls.crt, tls.key and token (a mounted Secret) for it, and client-ca.crt if clients must prove themselves
    #[arg(long, env = "ASM_AGENT_OBSERVER_FILES", value_name = "FOLDER")]
    observer_files: Option<PathBuf>,

    /// Write everywhere without asking whether another replica does; only when there is no other
    #[arg(long, env = "ASM_AGENT_NO_LEADER_ELECTION")]
    no_leader_election: bool,

    /// How long other replicas wait for one that has gone silent before they take over its targets
    #[arg(long, env = "ASM_AGENT_LEASE_DURATION", value_name = "TIME", default_value = "30s", value_parser = duration)]
    lease_duration: Duration,

    /// How often each replica renews its Lease; at most a third of --lease-duration
    #[arg(long, env = "ASM_AGENT_LEASE_RENEW", value_name = "TIME", default_value = "10s", value_parser = duration)]
    lease_renew: Duration,

    /// What to log: error, warn, info, debug, trace, or directives such as info,asm_agent=debug
    #[arg(long, env = "ASM_AGENT_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    log_level: String,

    /// How to log, to standard error
    #[arg(long, env = "ASM_AGENT_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,

    /// Collector that takes traces by OTLP over HTTP (http://HOST:4318), in builds with the feature otlp; OTEL_EXPORTER_OTLP_ENDPOINT
    /// and its kin count, too
    #[arg(long, env = "ASM_AGENT_OTLP_ENDPOINT", value_name = "URL", value_parser = collector)]
    otlp_endpoint: Option<String>,

    /// Folder for Git objects; a temporary one by default, which is fetched anew at each start
    #[arg(long, env = "ASM_AGENT_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,

    /// Send notifications to receivers at private addresses, too; to metadata services and link-local ones never
    #[arg(long, env = "ASM_AGENT_PRIVATE_RECEIVERS")]
    private_receivers: bool,

    /// How long an API server may take to answer a request; a request that is lost on its way is tried again after this
    #[arg(long, env = "ASM_AGENT_REQUEST_TIMEOUT", value_name = "TIME", default_value = "60s", value_parser = duration)]
    request_timeout: Duration,

    /// How long a watch may say nothing before it is begun anew; API servers say every minute that it still stands
    #[arg(long, env = "ASM_AGENT_WATCH_SILENCE", value_name = "TIME", default_value = "150s", value_parser = duration)]
    watch_silence: Duration,

    /// How long what is being written may take to finish after SIGTERM
    #[arg(long, env = "ASM_AGENT_GRACE_PERIOD", value_name = "TIME", default_value = "20s", value_parser = duration)]
    grace_period: Duration,
}

impl Args {
    /// Parses the command line and runs what it says.
    pub fn parse_and_run() -> ExitCode {
        match Self::try_parse().and_then(Self::into_settings) {
            Ok(settings) => run::block_on(settings),
            Err(error) => {
                // Nothing can be done when standard error is closed.
                let _ = error.print();
                match error.kind() {
                    ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                    _ => run::Ending::Usage.into(),
                }
            }
        }
    }

    /// Every field is named here, so that one that nothing reads does not compile.
    fn into_settings(self) -> Result<Settings, clap::Error> {
        let Self {
            kubeconfig,
            context,
            namespace,
            all_namespaces,
            default_service_account,
            once,
            timeout,
            http_address,
            webhook_address,
            web_address,
            web_hosts,
            web_token_file,
            observer_address,
            observer_files,
            no_leader_election,
            lease_duration,
            lease_renew,
            log_level,
            log_format,
            otlp_endpoint,
            data_dir,
            private_receivers,
            request_timeout,
            watch_silence,
            grace_period,
        } = self;
        if lease_renew * 3 > lease_duration || lease_duration < Duration::from_secs(3) {
            let message = "--lease-duration must be at least 3s and three times --lease-renew, so that one lost request \
                           does not cost the claim\n";
            return Err(clap::Error::raw(ErrorKind::ValueValidation, message));
        }
        Ok(Settings {
            kubeconfig,
            context,
            namespace,
            all_namespaces,
            default_service_account,
            once: once.map(|name| (name, timeout)),
            http_address,
            webhook_address,
            web: web_address.map(|address| Web { address, hosts: web_hosts, token: web_token_file }),
            observer_address,
            observer_files,
            lease: (!no_leader_election).then_some((lease_duration, lease_renew)),
            log_level,
            log_format,
            otlp_endpoint,
            data_dir,
            reach: if private_receivers { Reach::Private } else { Reach::Public },
            limits: Limits { request: request_timeout, silence: watch_silence },
            grace_period,
        })
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let explain = || "write a time such as 30s, 5m or 1h30m".to_owned();
    let duration: jiff::SignedDuration = text.parse().map_err(|_| explain())?;
    let duration = Duration::try_from(duration).map_err(|_| explain())?;
    if duration.is_zero() || duration > Duration::from_secs(24 * 3600) {
        return Err("a time of more than nothing and at most 24h is needed".to_owned());
    }
    Ok(duration)
}

/// The address of a collector. It goes into messages, so it must hold no password.
fn collector(text: &str) -> Result<String, String> {
    let url: http::Uri = text.parse().map_err(|_| "it is no URL".to_owned())?;
    let is_web = matches!(url.scheme_str(), Some("http" | "https"));
    match url.authority().filter(|_| is_web && url.query().is_none()) {
        Some(host) if host.as_str().contains('@') => {
            Err("it must hold no user or password; what a collector asks for goes into OTEL_EXPORTER_OTLP_HEADERS"
                .to_owned())
        }
        Some(_) => Ok(text.to_owned()),
        None => Err("write http://HOST:4318 or https://HOST".to_owned()),
    }
}

fn account(text: &str) -> Result<String, String> {
    crate::credentials::Actor::new("any", text).map(|_| text.to_owned())
}

fn namespace(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.is_empty() || text.len() > 63 || !text.bytes().all(plain) || text.starts_with('-') || text.ends_with('-') {
        return Err("it is no namespace name (a-z, 0-9 and -, at most 63 characters)".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::{CommandFactory as _, Parser as _};

    use super::Args;

    fn parse(options: &[&str]) -> Result<super::Settings, clap::Error> {
        Args::try_parse_from([&["asm-agent"], options].concat()).and_then(Args::into_settings)
    }

    #[test]
    fn command_line_is_consistent_and_every_option_has_a_variable() {
        Args::command().debug_assert();
        for option in
            Args::command().get_arguments().filter(|option| !matches!(option.get_id().as_str(), "help" | "version"))
        {
            let expected = format!("ASM_AGENT_{}", option.get_id().as_str().to_uppercase());
            assert_eq!(option.get_env().and_then(|name| name.to_str()), Some(expected.as_str()));
        }
    }

    #[test]
    fn times_are_written_as_people_do() {
        let settings = parse(&["--once", "fleet", "--timeout", "1m30s", "--lease-duration", "1m"]).unwrap();
        assert_eq!(settings.once, Some(("fleet".to_owned(), Duration::from_secs(90))));
        assert_eq!(settings.lease, Some((Duration::from_secs(60), Duration::from_secs(10))));
        assert_eq!(settings.grace_period, Duration::from_secs(20));
        assert_eq!(parse(&["--no-leader-election"]).unwrap().lease, None);
        for wrong in ["30", "-5s", "0s", "soon", "25h"] {
            assert!(parse(&["--timeout", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn options_that_cannot_work_are_refused() {
        for wrong in [
            &["--context", "a"][..],
            &["--lease-renew", "11s"],
            &["--lease-duration", "2s", "--lease-renew", "100ms"],
            &["--namespace", "Not_A_Name"],
            &["--default-service-account", "a:b"],
            &["--default-service-account", "system:masters"],
            &["--all-namespaces", "--once", "shop"],
            &["--http-address", "8080"],
            &["--otlp-endpoint", "collector:4318"],
            &["--otlp-endpoint", "grpc://collector:4317"],
            &["--otlp-endpoint", "http://user:word@collector:4318"],
            &["--log-format", "xml"],
            &["left-over"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}

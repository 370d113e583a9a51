//! The flags of every command: those of kubectl that users type by reflex, and what this program adds.

use crate::ui::Color;
use clap::{ArgAction, Args};
use std::path::PathBuf;

const CONNECTION: &str = "Connection options (as in kubectl)";
const GLOBAL: &str = "Global options";

/// Flags of every command. They may stand anywhere on the command line.
#[derive(Clone, Debug, Default, Args)]
pub struct GlobalArgs {
    /// Root of the fleet repository [default: the nearest parent directory with a fleet.yaml]
    #[arg(long, global = true, value_name = "DIR", help_heading = GLOBAL)]
    pub repo: Option<PathBuf>,

    /// Namespace of the objects
    #[arg(long, short, global = true, value_name = "NAME", help_heading = GLOBAL)]
    pub namespace: Option<String>,

    /// Objects of all namespaces
    #[arg(long, short = 'A', global = true, conflicts_with = "namespace", num_args = 0..=1, require_equals = true, action = ArgAction::Set, default_value = "false",
          default_missing_value = "true", value_name = "BOOL", hide_default_value = true, hide_possible_values = true, help_heading = GLOBAL)]
    pub all_namespaces: bool,

    /// Output format; each command says which ones it has
    #[arg(long, short, global = true, value_name = "FORMAT", help_heading = GLOBAL)]
    pub output: Option<String>,

    /// Leave the header line of tables out
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, action = ArgAction::Set, default_value = "false",
          default_missing_value = "true", value_name = "BOOL", hide_default_value = true, hide_possible_values = true, help_heading = GLOBAL, hide_short_help = true)]
    pub no_headers: bool,

    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = GLOBAL, hide_short_help = true)]
    pub color: Color,

    /// Never start a pager
    #[arg(
        long,
        global = true,
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set,
        default_value = "false",
        default_missing_value = "true",
        value_name = "BOOL",
        hide_default_value = true,
        hide_possible_values = true,
        help_heading = GLOBAL,
        hide_short_help = true
    )]
    pub no_pager: bool,

    /// Never ask; fail instead
    #[arg(
        long,
        global = true,
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set,
        default_value = "false",
        default_missing_value = "true",
        value_name = "BOOL",
        hide_default_value = true,
        hide_possible_values = true,
        help_heading = GLOBAL,
        hide_short_help = true
    )]
    pub no_input: bool,

    /// Log level, 0 to 9
    #[arg(long = "v", short = 'v', global = true, value_name = "LEVEL", default_value_t = 0,
          value_parser = clap::value_parser!(u8).range(0..=10), help_heading = GLOBAL, hide_short_help = true)]
    pub verbosity: u8,

    /// Path of the kubeconfig file; replaces the KUBECONFIG list
    #[arg(long, global = true, value_name = "FILE", help_heading = CONNECTION, hide_short_help = true)]
    pub kubeconfig: Option<PathBuf>,

    /// Name of a kubeconfig context; may be repeated
    #[arg(long = "context", global = true, value_name = "NAME", action = ArgAction::Append, help_heading = CONNECTION, hide_short_help = true)]
    pub contexts: Vec<String>,

    /// Name of a kubeconfig cluster
    #[arg(long, global = true, value_name = "NAME", help_heading = CONNECTION, hide_short_help = true)]
    pub cluster: Option<String>,

    /// Name of a kubeconfig user
    #[arg(long, global = true, value_name = "NAME", help_heading = CONNECTION, hide_short_help = true)]
    pub user: Option<String>,

    /// User to act as
    #[arg(long = "as", global = true, value_name = "USER", help_heading = CONNECTION, hide_short_help = true)]
    pub impersonate: Option<String>,

    /// Group to act as; may be repeated
    #[arg(long = "as-group", global = true, value_name = "GROUP", action = ArgAction::Append, help_heading = CONNECTION, hide_short_help = true)]
    pub impersonate_groups: Vec<String>,

    /// UID to act as
    #[arg(long = "as-uid", global = true, value_name = "UID", help_heading = CONNECTION, hide_short_help = true)]
    pub impersonate_uid: Option<String>,

    /// How long to wait for one request, for example 30s or 2m; 0 waits without limit
    #[arg(long, global = true, value_name = "DURATION", default_value = "0", help_heading = CONNECTION, hide_short_help = true)]
    pub request_timeout: String,

    /// Address of the API server
    #[arg(long, short, global = true, value_name = "URL", help_heading = CONNECTION, hide_short_help = true)]
    pub server: Option<String>,

    /// User name for basic authentication
    #[arg(long, global = true, value_name = "NAME", help_heading = CONNECTION, hide_short_help = true)]
    pub username: Option<String>,

    /// Password for basic authentication
    #[arg(long, global = true, value_name = "PASSWORD", help_heading = CONNECTION, hide_short_help = true)]
    pub password: Option<String>,

    /// Bearer token
    #[arg(long, global = true, value_name = "TOKEN", help_heading = CONNECTION, hide_short_help = true)]
    pub token: Option<String>,

    /// File with the certificates of the API server's authority
    #[arg(long, global = true, value_name = "FILE", help_heading = CONNECTION, hide_short_help = true)]
    pub certificate_authority: Option<PathBuf>,

    /// File with the client certificate
    #[arg(long, global = true, value_name = "FILE", help_heading = CONNECTION, hide_short_help = true)]
    pub client_certificate: Option<PathBuf>,

    /// File with the client key
    #[arg(long, global = true, value_name = "FILE", help_heading = CONNECTION, hide_short_help = true)]
    pub client_key: Option<PathBuf>,

    /// Do not check the API server's certificate
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, action = ArgAction::Set, default_value = "false",
          default_missing_value = "true", value_name = "BOOL", hide_default_value = true, hide_possible_values = true, help_heading = CONNECTION, hide_short_help = true)]
    pub insecure_skip_tls_verify: bool,

    /// Name to expect in the API server's certificate
    #[arg(long, global = true, value_name = "NAME", help_heading = CONNECTION, hide_short_help = true)]
    pub tls_server_name: Option<String>,

    /// Ask the API server not to compress answers
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, action = ArgAction::Set, default_value = "false",
          default_missing_value = "true", value_name = "BOOL", hide_default_value = true, hide_possible_values = true, help_heading = CONNECTION, hide_short_help = true)]
    pub disable_compression: bool,

    /// Accepted for kubectl's sake; nothing is cached
    #[arg(long, global = true, value_name = "DIR", help_heading = CONNECTION, hide_short_help = true)]
    pub cache_dir: Option<PathBuf>,

    /// Flags of kubectl that mean nothing here.
    #[command(flatten)]
    pub without_effect: WithoutEffect,
}

/// Flags that kubectl takes with every command and that mean nothing here: whoever has them in a script or an alias is
/// not refused.
#[derive(Clone, Debug, Default, Args)]
pub struct WithoutEffect {
    /// How often kubectl writes its log.
    #[arg(long, global = true, hide = true)]
    pub log_flush_frequency: Option<String>,
    /// kubectl compares its version with the server's.
    #[arg(long, global = true, hide = true, num_args = 0..=1, require_equals = true, action = ArgAction::Set, default_value = "false",
          default_missing_value = "true", value_name = "BOOL")]
    pub match_server_version: bool,
    /// kubectl measures itself.
    #[arg(long, global = true, hide = true)]
    pub profile: Option<String>,
    /// Where kubectl puts what it measured.
    #[arg(long, global = true, hide = true)]
    pub profile_output: Option<String>,
    /// Log levels of kubectl's source files.
    #[arg(long, global = true, hide = true)]
    pub vmodule: Option<String>,
    /// kubectl fails on warnings of the API server, which are not shown here.
    #[arg(long, global = true, hide = true, num_args = 0..=1, require_equals = true, action = ArgAction::Set, default_value = "false",
          default_missing_value = "true", value_name = "BOOL")]
    pub warnings_as_errors: bool,
}

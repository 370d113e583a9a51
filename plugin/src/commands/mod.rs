//! The verbs. One file each; groups of verbs are directories. A file holds `XArgs` (its documentation is the help text)
//! and `run(context, args)`.

pub mod adopt;
pub mod app;
pub mod clb;
pub mod cluster;
pub mod complete;
pub mod completion;
pub mod diff;
pub mod doctor;
pub mod drift;
pub mod explain;
pub mod freeze;
pub mod gateway;
pub mod graph;
pub mod import;
pub mod init;
pub mod lint;
pub mod pr;
pub mod rbac;
pub mod resume;
pub mod revert;
pub mod route;
pub mod status;
pub mod suspend;
pub mod sync;
pub mod unfreeze;
pub mod verify;
pub mod version;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Subcommand;

/// The verbs.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "the help text of a verb is the documentation of its arguments")]
pub enum Command {
    Init(init::InitArgs),
    Import(import::ImportArgs),
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    #[command(subcommand)]
    Gateway(gateway::GatewayCommand),
    #[command(subcommand)]
    Clb(clb::ClbCommand),
    #[command(subcommand)]
    App(app::AppCommand),
    #[command(subcommand)]
    Route(route::RouteCommand),
    Lint(lint::LintArgs),
    Explain(explain::ExplainArgs),
    Graph(graph::GraphArgs),
    Diff(diff::DiffArgs),
    #[command(subcommand)]
    Doctor(doctor::DoctorCommand),
    #[command(subcommand)]
    Pr(pr::PrCommand),
    // Its flags are many; the other verbs should not carry their size.
    Verify(Box<verify::VerifyArgs>),
    Rbac(rbac::RbacArgs),
    Status(status::StatusArgs),
    Drift(drift::DriftArgs),
    Adopt(adopt::AdoptArgs),
    Revert(revert::RevertArgs),
    Freeze(freeze::FreezeArgs),
    Unfreeze(unfreeze::UnfreezeArgs),
    Sync(sync::SyncArgs),
    Suspend(suspend::SuspendArgs),
    Resume(resume::ResumeArgs),
    Version(version::VersionArgs),
    Completion(completion::CompletionArgs),
    #[command(name = "__complete", hide = true)]
    Complete(complete::CompleteArgs),
}

/// Runs a verb.
pub fn run(context: &Context, command: Command) -> Result<Exit, CommandError> {
    match command {
        Command::Init(args) => init::run(context, args),
        Command::Import(args) => import::run(context, args),
        Command::Cluster(command) => cluster::run(context, command),
        Command::App(command) => app::run(context, command),
        Command::Clb(command) => clb::run(context, command),
        Command::Route(command) => route::run(context, command),
        Command::Gateway(command) => gateway::run(context, command),
        Command::Lint(args) => lint::run(context, args),
        Command::Explain(args) => explain::run(context, args),
        Command::Graph(args) => graph::run(context, args),
        Command::Diff(args) => diff::run(context, args),
        Command::Doctor(command) => doctor::run(context, command),
        Command::Pr(command) => pr::run(context, command),
        Command::Verify(args) => verify::run(context, *args),
        Command::Rbac(args) => rbac::run(context, args),
        Command::Status(args) => status::run(context, args),
        Command::Drift(args) => drift::run(context, args),
        Command::Adopt(args) => adopt::run(context, args),
        Command::Revert(args) => revert::run(context, args),
        Command::Freeze(args) => freeze::run(context, args),
        Command::Unfreeze(args) => unfreeze::run(context, args),
        Command::Sync(args) => sync::run(context, args),
        Command::Suspend(args) => suspend::run(context, args),
        Command::Resume(args) => resume::run(context, args),
        Command::Version(args) => version::run(context, args),
        Command::Completion(args) => completion::run(context, args),
        Command::Complete(args) => complete::run(context, args),
    }
}

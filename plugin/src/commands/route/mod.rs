//! `kubectl asm route …`.

pub mod add;
pub mod fault;
pub mod list;
pub mod mirror;
pub mod r#move;
mod place;
pub mod redirect;
pub mod remove;
pub mod rewrite;
pub mod set;
pub mod show;
pub mod split;
pub(crate) mod steps;
pub mod test;
pub(crate) mod view;
pub mod weight;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Subcommand;

/// Routes (VirtualService, with the Gateway and the DestinationRule they need).
///
/// A destination is written HOST[:PORT][@SUBSET][=PERCENT]: `productpage:9080`, `reviews@v3`, `reviews@v1=90`. A subset
/// that is not declared yet is declared in the host's DestinationRule, for the pods with the label version=SUBSET.
///
/// A match is exact:/PATH, prefix:/PATH, regex:PATTERN, header:NAME[=KIND:VALUE], query:NAME=KIND:VALUE, method:NAME,
/// authority:KIND:HOST or port:NUMBER. Conditions joined by + must all be met; of several --match any one.
///
/// Rules are tried in order, and the first that matches decides. A rule is never put where one before it takes all of its
/// requests, nor, without --force, where it takes all requests of one behind it.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "the help text of a verb is the documentation of its arguments")]
pub enum RouteCommand {
    Add(add::AddArgs),
    List(list::ListArgs),
    Show(show::ShowArgs),
    Test(Box<test::TestArgs>),
    Set(set::SetArgs),
    Weight(weight::WeightArgs),
    Split(split::SplitArgs),
    Mirror(mirror::MirrorArgs),
    Fault(fault::FaultArgs),
    Redirect(redirect::RedirectArgs),
    Rewrite(rewrite::RewriteArgs),
    Move(r#move::MoveArgs),
    Remove(remove::RemoveArgs),
}

/// Runs one of them.
pub fn run(context: &Context, command: RouteCommand) -> Result<Exit, CommandError> {
    match command {
        RouteCommand::Add(args) => add::run(context, args),
        RouteCommand::List(args) => list::run(context, args),
        RouteCommand::Show(args) => show::run(context, args),
        RouteCommand::Test(args) => test::run(context, *args),
        RouteCommand::Mirror(args) => mirror::run(context, args),
        RouteCommand::Fault(args) => fault::run(context, args),
        RouteCommand::Redirect(args) => redirect::run(context, args),
        RouteCommand::Rewrite(args) => rewrite::run(context, args),
        RouteCommand::Move(args) => r#move::run(context, args),
        RouteCommand::Remove(args) => remove::run(context, args),
        RouteCommand::Set(args) => set::run(context, args),
        RouteCommand::Weight(args) => weight::run(context, args),
        RouteCommand::Split(args) => split::run(context, args),
    }
}

/// `--api-version` of new objects.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub enum ApiVersionArg {
    /// networking.istio.io/v1alpha3.
    V1alpha3,
    /// networking.istio.io/v1beta1, served by every ASM version in use.
    #[default]
    V1beta1,
    /// networking.istio.io/v1, Istio 1.22 and later.
    V1,
}

impl From<ApiVersionArg> for asm_shared::authoring::ApiVersion {
    fn from(version: ApiVersionArg) -> Self {
        match version {
            ApiVersionArg::V1alpha3 => Self::V1Alpha3,
            ApiVersionArg::V1beta1 => Self::V1Beta1,
            ApiVersionArg::V1 => Self::V1,
        }
    }
}

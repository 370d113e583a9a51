//! Where among the rules of a route a rule goes.

use asm_shared::authoring::RulePlace;
use clap::Args;

/// Flags that name a place.
#[derive(Clone, Debug, Args)]
pub(super) struct PlaceArgs {
    /// Before this rule, by its name or its number from 1
    #[arg(long, value_name = "RULE", group = "place")]
    before: Option<String>,

    /// Behind this rule, by its name or its number from 1
    #[arg(long, value_name = "RULE", group = "place")]
    after: Option<String>,

    /// Before all others
    #[arg(long, group = "place")]
    first: bool,

    /// Behind all others
    #[arg(long, group = "place")]
    last: bool,
}

impl PlaceArgs {
    /// The place, if one was named.
    pub(super) fn place(&self) -> Option<RulePlace> {
        match self {
            Self { before: Some(rule), .. } => Some(RulePlace::Before(rule.clone())),
            Self { after: Some(rule), .. } => Some(RulePlace::After(rule.clone())),
            Self { first: true, .. } => Some(RulePlace::First),
            Self { last: true, .. } => Some(RulePlace::Last),
            _ => None,
        }
    }
}

//! Small parts of pages.

use super::Look;
use crate::web::views::{Commit, Drawn, Elsewhere, FleetView, TargetView};
use asm_shared::api::TargetStatus;
use asm_shared::object::redact_text;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// How something stands, in colour and in a word: the colour alone says nothing to many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Good,
    Waiting,
    Warned,
    Bad,
    Unknown,
}

impl State {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Waiting => "waiting",
            Self::Warned => "warned",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Good => "ready",
            Self::Waiting => "progressing",
            Self::Warned => "attention",
            Self::Bad => "not ready",
            Self::Unknown => "not known yet",
        }
    }

    /// Of a fleet.
    pub(super) fn of(view: &FleetView) -> Self {
        let waits = view.status.drifted + view.status.held_back + view.status.held_by_lint > 0;
        Self::of_conditions(&view.status.conditions, waits)
    }

    /// Of a target.
    pub(super) fn of_target(target: &TargetStatus) -> Self {
        let waits = target.drifted + target.held_back + target.held_by_lint > 0;
        Self::of_conditions(&target.conditions, waits)
    }

    fn of_conditions(conditions: &[Condition], waits: bool) -> Self {
        match condition(conditions, "Ready") {
            Some(ready) if ready.status == "True" && waits => Self::Warned,
            Some(ready) if ready.status == "True" => Self::Good,
            Some(ready) if ready.status == "Unknown" => Self::Unknown,
            Some(ready) if ready.reason == "Progressing" => Self::Waiting,
            Some(ready) if matches!(ready.reason.as_str(), "HeldBack" | "Suspended") => Self::Warned,
            Some(_) => Self::Bad,
            None => Self::Unknown,
        }
    }
}

pub(super) fn condition<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

pub(super) fn pill(state: State, word: &str) -> Markup {
    html! { span class={ "pill " (state.class()) } { (word) } }
}

/// Text that came from elsewhere, without credentials that a URL in it may hold.
pub(super) fn text(text: &str) -> String {
    redact_text(text)
}

/// A time. The script says how long ago it is.
pub(super) fn time(at: Timestamp) -> Markup {
    let shown = at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    html! { time datetime=(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()) { (shown) } }
}

/// The commit and what is drawn of it; or why there is nothing to draw.
pub(super) fn drawn(view: &FleetView) -> Result<(&Commit, &Drawn), String> {
    let commit = view.commit.as_ref().ok_or("No commit has been read yet.")?;
    let drawn = commit.drawn().map_err(|why| format!("Commit {} cannot be read: {why}", commit.revision))?;
    Ok((commit, drawn))
}

/// The first characters of a commit ID, as Git shows them.
pub(super) fn short(revision: &str) -> &str {
    revision.get(..8).unwrap_or(revision)
}

/// A path of this page, each part of it encoded.
pub(super) fn link(path: &[&str]) -> String {
    path.iter().map(|part| format!("/{}", encoded(part))).collect()
}

pub(super) fn encoded(part: &str) -> String {
    utf8_percent_encode(part, NON_ALPHANUMERIC).to_string()
}

/// A path with a query; what is empty is left out.
pub(super) fn link_with(path: &[&str], query: &[(&str, &str)]) -> String {
    let query: Vec<String> = query
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| format!("{key}={}", encoded(value)))
        .collect();
    if query.is_empty() { link(path) } else { format!("{}?{}", link(path), query.join("&")) }
}

/// A part of a list.
pub(super) struct Slice {
    pub(super) from: usize,
    pub(super) to: usize,
    all: usize,
    page: usize,
    pages: usize,
}

/// The part of a list of this length that is asked for; the last one when there is no such part.
pub(super) fn slice(all: usize, each: usize, look: &Look) -> Slice {
    let pages = all.div_ceil(each).max(1);
    let page = look.page.clamp(1, pages);
    let from = (page - 1) * each;
    Slice { from, to: (from + each).min(all), all, page, pages }
}

impl Slice {
    /// Ways to the other parts. `link` makes one of a page's number.
    pub(super) fn turn(&self, what: &str, link: impl Fn(usize) -> String) -> Markup {
        html! {
            @if self.pages > 1 {
                nav.turn aria-label={ "Pages of " (what) } {
                    @if self.page > 1 { a href=(link(self.page - 1)) rel="prev" { "← Previous" } }
                    span { (self.from + 1) "–" (self.to) " of " (self.all) }
                    @if self.page < self.pages { a href=(link(self.page + 1)) rel="next" { "Next →" } }
                }
            }
        }
    }
}

/// A number that stands out when it is not nothing.
pub(super) fn number(count: u32, state: State) -> Markup {
    html! { @if count == 0 { span.none { "0" } } @else { span class={ "some " (state.class()) } { (count) } } }
}

/// A table region that may be wider than the window: it can be scrolled by keys.
pub(super) fn wide(label: &str, table: Markup) -> Markup {
    html! { div.wide role="region" aria-label=(label) tabindex="0" { (table) } }
}

/// Whether a name has what is looked for.
pub(super) fn has(name: &str, part: &str) -> bool {
    name.to_ascii_lowercase().contains(&part.trim().to_ascii_lowercase())
}

/// What of these targets is on the pages of other replicas only.
pub(super) fn elsewhere(view: &FleetView) -> Markup {
    let targets = view.targets.iter();
    let all: Vec<(&TargetView, &Elsewhere)> = targets.filter_map(|it| Some((it, it.elsewhere.as_ref()?))).collect();
    html! {
        @if !all.is_empty() { ul.elsewhere {
            @for (target, rest) in all { li.hint {
                (target.name) " is worked on by another replica: " (rest.missing.join(", ")) " are on its page. "
                @match &rest.replica {
                    Some(pod) => code { "kubectl -n asm-system port-forward pod/" (pod) " 8082" },
                    None => code { "kubectl -n asm-system get leases" },
                }
            } }
        } }
    }
}

/// Drifted objects of a target beyond those that are shown one by one.
pub(super) fn unlisted(target: &TargetView) -> u64 {
    u64::from(target.drift.total).saturating_sub(target.drift.objects.len() as u64)
}

//! Random changes of subsets and of the routes to them, one commit each: what make-before-break must survive.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Host of the requests that the gateway sends to reviews.
pub const HOST: &str = "reviews.example.com";
/// Header of every answer at the gateway: the number of the change that it has taken in.
pub const MARK: &str = "x-change";

/// The files, by path: what stands there, or nothing. By name the routes come before the rule that defines their subsets.
pub type Files = BTreeMap<&'static str, Option<String>>;

const EDGE: &str = "mesh/routes/reviews-at-the-edge.yaml";
const MESH: &str = "mesh/routes/reviews-in-the-mesh.yaml";
const RULE: &str = "mesh/routes/reviews-versions.yaml";

/// Subsets of reviews, and who goes to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routing {
    number: u32,
    /// Name → version. Empty: no DestinationRule.
    subsets: BTreeMap<String, &'static str>,
    /// Subset → weight; empty: to the Service as a whole.
    weights: BTreeMap<String, u32>,
    /// Whether the mesh's own requests are routed too.
    in_mesh: bool,
}

impl Routing {
    /// Everything to the Service as a whole.
    #[must_use]
    pub fn start() -> Self {
        Self { number: 0, subsets: BTreeMap::new(), weights: BTreeMap::new(), in_mesh: false }
    }

    /// Which change this is.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The versions that may answer.
    #[must_use]
    pub fn versions(&self) -> Vec<&'static str> {
        if self.weights.is_empty() {
            return vec!["v1", "v2", "v3"];
        }
        self.weights.keys().filter_map(|subset| self.subsets.get(subset).copied()).collect()
    }

    /// The next one.
    #[must_use]
    pub fn next(&self, dice: &mut Dice) -> (Self, &'static str) {
        let mut next = Self { number: self.number + 1, ..self.clone() };
        let what = match dice.below(7) {
            _ if self.subsets.is_empty() => next.replace(dice, "subsets and routes to them come"),
            0 | 1 => next.rename(dice),
            2 => next.add(dice),
            3 if self.weights.len() > 1 => next.drop_one(dice),
            3 | 4 => next.replace(dice, "all subsets are replaced"),
            5 => {
                next.in_mesh = !next.in_mesh;
                if next.in_mesh { "the mesh's own route comes" } else { "the mesh's own route goes" }
            }
            _ => {
                (next.subsets, next.weights, next.in_mesh) = (BTreeMap::new(), BTreeMap::new(), false);
                "subsets and routes to them go"
            }
        };
        next.weigh(dice);
        (next, what)
    }

    fn name(&self, index: u64) -> String {
        format!("s{}-{index}", self.number)
    }

    fn used(&self, dice: &mut Dice) -> String {
        self.weights.keys().nth(dice.below(self.weights.len())).cloned().unwrap_or_default()
    }

    fn rename(&mut self, dice: &mut Dice) -> &'static str {
        let (old, new) = (self.used(dice), self.name(0));
        if let Some(version) = self.subsets.remove(&old) {
            self.subsets.insert(new.clone(), version);
            self.weights.remove(&old);
            self.weights.insert(new, 0);
        }
        "a subset in use gets another name"
    }

    fn add(&mut self, dice: &mut Dice) -> &'static str {
        let new = self.name(0);
        self.subsets.insert(new.clone(), dice.version());
        self.weights.insert(new, 0);
        "a subset comes and gets requests"
    }

    fn drop_one(&mut self, dice: &mut Dice) -> &'static str {
        let old = self.used(dice);
        self.subsets.remove(&old);
        self.weights.remove(&old);
        "a subset in use goes"
    }

    fn replace(&mut self, dice: &mut Dice, what: &'static str) -> &'static str {
        let names: Vec<String> = (0..=dice.below(3) as u64).map(|index| self.name(index)).collect();
        self.subsets = names.iter().map(|name| (name.clone(), dice.version())).collect();
        self.weights = names.into_iter().map(|name| (name, 0)).collect();
        self.in_mesh = true;
        what
    }

    /// Weights that add up to 100.
    fn weigh(&mut self, dice: &mut Dice) {
        let count = u32::try_from(self.weights.len()).unwrap_or_default();
        let mut left = 100;
        for (index, weight) in (1..).zip(self.weights.values_mut()) {
            let most = left - (count - index);
            *weight =
                if index == count { left } else { 1 + u32::try_from(dice.below(most as usize)).unwrap_or_default() };
            left -= *weight;
        }
    }

    /// The files of this state.
    #[must_use]
    pub fn files(&self) -> Files {
        let edge = format!(
            "{}spec:\n  hosts:\n    - {HOST}\n  gateways:\n    - bookinfo-gateway\n  http:\n    - headers:\n        response:\n          \
             set:\n            {MARK}: \"{}\"\n      route:\n{}",
            head("VirtualService", "reviews-edge"),
            self.number,
            self.route()
        );
        let mesh = format!(
            "{}spec:\n  hosts:\n    - reviews\n  http:\n    - route:\n{}",
            head("VirtualService", "reviews"),
            self.route()
        );
        let mut rule = format!("{}spec:\n  host: reviews\n  subsets:\n", head("DestinationRule", "reviews"));
        for (name, version) in &self.subsets {
            let _ = write!(rule, "    - name: {name}\n      labels:\n        version: {version}\n");
        }
        let has_rule = !self.subsets.is_empty();
        BTreeMap::from([(EDGE, Some(edge)), (MESH, self.in_mesh.then_some(mesh)), (RULE, has_rule.then_some(rule))])
    }

    fn route(&self) -> String {
        let to = "        - destination:\n            host: reviews\n            port:\n              number: 9080\n";
        if self.weights.is_empty() {
            return to.to_owned();
        }
        self.weights.iter().fold(String::new(), |mut text, (subset, weight)| {
            let _ = write!(text, "{to}            subset: {subset}\n          weight: {weight}\n");
            text
        })
    }
}

fn head(kind: &str, name: &str) -> String {
    format!("apiVersion: networking.istio.io/v1beta1\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: default\n")
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// A sequence of its own per seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        usize::try_from(z % count.max(1) as u64).unwrap_or_default()
    }

    fn version(&mut self) -> &'static str {
        ["v1", "v2", "v3"][self.below(3)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_state_is_whole_and_every_kind_of_change_comes() {
        let (mut dice, mut state, mut kinds) = (Dice::new(1), Routing::start(), BTreeSet::new());
        for number in 1..=200 {
            let (next, what) = state.next(&mut dice);
            kinds.insert(what);
            assert_eq!(next.number(), number);
            assert!(next.weights.keys().all(|subset| next.subsets.contains_key(subset)), "{next:?}");
            assert!(next.weights.is_empty() || next.weights.values().sum::<u32>() == 100, "{next:?}");
            assert!(next.weights.values().all(|weight| *weight > 0), "{next:?}");
            assert!(!next.in_mesh || !next.subsets.is_empty(), "{next:?}");
            assert!(!next.versions().is_empty());
            for text in next.files().values().flatten() {
                assert_eq!(crate::documents(text).unwrap().len(), 1, "{text}");
            }
            state = next;
        }
        assert_eq!(kinds.len(), 8, "{kinds:?}");
    }
}

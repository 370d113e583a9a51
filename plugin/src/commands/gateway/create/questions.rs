//! What `--interactive` asks: a table in the order of the console's page "Create an ingress gateway". Answers are flags.

use super::words::{NAME, REUSE, Word};
use asm_shared::authoring::SHARING_RISKS;

/// A question.
#[derive(Clone, Copy)]
pub(super) struct Question {
    /// Its name: what the conditions of later questions look at.
    pub(super) key: &'static str,
    /// Flags that answer it. It is not asked when one of them is given.
    pub(super) flags: &'static [&'static str],
    /// Is it to be asked after these answers?
    pub(super) when: fn(&Answers) -> bool,
    /// Risks, said before it.
    pub(super) before: &'static [&'static str],
    /// The question.
    pub(super) text: &'static str,
    /// How to answer.
    pub(super) help: &'static str,
    /// What answers there are.
    pub(super) kind: Kind,
    /// It is complete only with the answers to the questions after it: it is judged with them.
    pub(super) is_half: bool,
}

/// What answers there are.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// One of these; the first is the console's.
    Choice(&'static [Choice]),
    /// A text for the flag of the question's name.
    Text {
        /// The answer when nothing is typed.
        default: &'static str,
        /// What an answer means.
        reading: Reading,
    },
    /// Clusters of fleet.yaml.
    Clusters,
}

/// What a typed answer means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// One value; the default needs no flag.
    One,
    /// One value, and the flag is written for the default as well.
    Always,
    /// Several values, divided by spaces or commas; the default needs no flag.
    Many,
    /// The same, and there has to be one.
    Needed,
}

/// A choice: what is shown, and the flag that it stands for (none for a default), with its value (none for a switch).
pub(super) type Choice = (&'static str, Option<(&'static str, Option<&'static str>)>);

/// What is known so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    /// Flags, given or answered.
    pub(super) words: Vec<Word>,
    /// Choices by the question's key.
    pub(super) chosen: Vec<(&'static str, usize)>,
}

impl Answers {
    /// Is the flag there?
    pub(super) fn has(&self, flag: &str) -> bool {
        self.words.iter().any(|word| word.flag == flag)
    }

    fn value(&self, flag: &str) -> Option<&str> {
        self.words.iter().rfind(|word| word.flag == flag)?.value.as_deref()
    }

    fn said_yes(&self, key: &str) -> bool {
        self.chosen.iter().any(|(known, place)| *known == key && *place == 1)
    }
}

const fn choice(key: &'static str, text: &'static str, choices: &'static [Choice]) -> Question {
    Question {
        key,
        flags: &[],
        when: |_| true,
        before: &[],
        text,
        help: "",
        kind: Kind::Choice(choices),
        is_half: false,
    }
}

const fn text(key: &'static str, text: &'static str, default: &'static str, reading: Reading) -> Question {
    Question { kind: Kind::Text { default, reading }, ..choice(key, text, &[]) }
}

impl Question {
    const fn flags(self, flags: &'static [&'static str]) -> Self {
        Self { flags, ..self }
    }

    const fn when(self, when: fn(&Answers) -> bool) -> Self {
        Self { when, ..self }
    }

    const fn help(self, help: &'static str) -> Self {
        Self { help, ..self }
    }

    const fn before(self, before: &'static [&'static str]) -> Self {
        Self { before, ..self }
    }

    const fn half(self) -> Self {
        Self { is_half: true, ..self }
    }
}

fn in_clusters(answers: &Answers) -> bool {
    !answers.has("serverless")
}

fn service_type(answers: &Answers) -> &str {
    let default = if answers.has("egress") { "ClusterIP" } else { "LoadBalancer" };
    answers.value("service-type").unwrap_or(default)
}

/// Has it a load balancer in each cluster? That of a serverless gateway is ASM's business.
fn balanced(answers: &Answers) -> bool {
    in_clusters(answers) && service_type(answers).eq_ignore_ascii_case("LoadBalancer")
}

fn is_nlb(answers: &Answers) -> bool {
    answers.value("load-balancer") == Some("nlb")
}

fn new_instance(answers: &Answers) -> bool {
    balanced(answers) && !answers.said_yes("instance") && !answers.has(REUSE)
}

fn old_instance(answers: &Answers) -> bool {
    balanced(answers) && (answers.said_yes("instance") || answers.has(REUSE))
}

fn reachable(answers: &Answers) -> bool {
    !service_type(answers).eq_ignore_ascii_case("ClusterIP")
}

fn advanced(answers: &Answers) -> bool {
    answers.said_yes("advanced")
}

fn scaled(answers: &Answers) -> bool {
    advanced(answers) && answers.said_yes("scaling")
}

const NO: Choice = ("no", None);

/// The table.
#[rustfmt::skip]
pub(super) const QUESTIONS: &[Question] = &[
    text(NAME, "Name of the gateway", "ingressgateway", Reading::Always)
        .help("its pods get the labels istio=NAME and app=istio-NAME"),
    choice("hosting", "Where do its pods run?", &[
        ("in member clusters, with a load balancer in each", None),
        ("serverless: ASM runs them, one address for all clusters", Some(("serverless", None))),
    ]).flags(&["serverless", "cluster", "egress"]),
    Question { kind: Kind::Clusters, ..choice("cluster", "Clusters", &[]) }.when(in_clusters)
        .help("space to choose, enter to go on"),
    choice("service-type", "Type of the Service", &[
        ("LoadBalancer", None),
        ("ClusterIP", Some(("service-type", Some("ClusterIP")))),
        ("NodePort", Some(("service-type", Some("NodePort")))),
    ]).when(|answers| in_clusters(answers) && !answers.has("egress")),
    choice("load-balancer", "Kind of load balancer", &[
        ("CLB (Classic Load Balancer)", None),
        ("NLB (Network Load Balancer)", Some(("load-balancer", Some("nlb")))),
    ]).flags(&["clb-spec", "zone-map"]).when(balanced).half(),
    choice("address-type", "Who reaches it?", &[
        ("everybody (internet)", Some(("address-type", Some("internet")))),
        ("only the VPC (intranet)", Some(("address-type", Some("intranet")))),
    ]).when(balanced).half(),
    choice("instance", "Which load balancer?", &[
        ("a new one", None),
        ("one that exists (not recommended)", None),
    ]).flags(&[REUSE, "clb-spec", "zone-map"]).when(balanced).half(),
    text("clb-spec", "Specification of the CLB", "", Reading::One)
        .help("empty: paid by use, no specification; otherwise for example slb.s2.small, paid by specification")
        .when(|answers| new_instance(answers) && !is_nlb(answers)),
    text("zone-map", "Zones of the NLB", "", Reading::Needed)
        .help("two or more as ZONE=VSWITCH, for example cn-hangzhou-h=vsw-1 cn-hangzhou-i=vsw-2")
        .when(|answers| new_instance(answers) && is_nlb(answers)),
    text(REUSE, "ID of the load balancer", "", Reading::Needed)
        .help("in several clusters one for each: CLUSTER:ID CLUSTER:ID")
        .before(&SHARING_RISKS).when(old_instance),
    choice("override-listeners", "May the cloud controller replace its listeners?", &[
        ("no: it serves what its listeners say now", None),
        ("yes", Some(("override-listeners", None))),
    ]).when(old_instance),
    text("port", "Ports", "http=80 https=443", Reading::Many)
        .help("NAME=PORT or NAME=PORT:TARGET, all of them"),
    text("limits", "Limits of a pod", "cpu=2 memory=2G", Reading::Many),
    text("requests", "Requests of a pod", "cpu=200m memory=256Mi", Reading::Many),
    text("replicas", "Pods (in each cluster)", "1", Reading::One).flags(&["min-replicas", "max-replicas"]),

    choice("advanced", "Advanced options?", &[NO, ("yes", None)])
        .help("traffic policy, scaling, rolling upgrade, nodes, graceful shutdown (MultiBuffer: in the console only)"),
    choice("external-traffic-policy", "External traffic policy", &[
        ("Cluster: pods of every node, spread evenly", None),
        ("Local: pods of the node that was reached, keeps the client's address", Some(("external-traffic-policy", Some("Local")))),
    ]).when(|answers| advanced(answers) && in_clusters(answers) && reachable(answers)),
    choice("external-traffic-policy", "External traffic policy", &[
        ("Local: pods of the node that was reached, keeps the client's address", None),
        ("Cluster: pods of every node, spread evenly", Some(("external-traffic-policy", Some("Cluster")))),
    ]).when(|answers| advanced(answers) && !in_clusters(answers) && reachable(answers)),
    choice("scaling", "Scale by itself (HPA; Enterprise or Ultimate edition)?", &[NO, ("yes", None)])
        .flags(&["min-replicas", "max-replicas", "cpu-target", "memory-target"]).when(advanced),
    text("min-replicas", "Fewest pods", "1", Reading::Always).when(scaled),
    text("max-replicas", "Most pods", "5", Reading::Always).when(scaled),
    text("cpu-target", "Pods are added above this CPU, in percent of the request", "80", Reading::Always).when(scaled),
    text("memory-target", "Pods are added above this memory, in percent of the request", "", Reading::One)
        .help("empty: memory is not looked at").when(scaled),
    text("max-unavailable", "Rolling upgrade: pods that may be missing", "25%", Reading::One).when(advanced),
    text("max-surge", "Rolling upgrade: pods above the wanted number", "100%", Reading::One).when(advanced),
    choice("spread", "Prefer different nodes for its pods (podAntiAffinity)?", &[NO, ("yes", Some(("spread", None)))])
        .when(|answers| advanced(answers) && in_clusters(answers)),
    text("node-selector", "Labels that a node must have", "", Reading::Many)
        .help("KEY=VALUE, or nothing").when(|answers| advanced(answers) && in_clusters(answers)),
    text("toleration", "Taints that the pods bear", "", Reading::Many)
        .help("KEY=VALUE:EFFECT, or nothing; affinity is set with --from").when(|answers| advanced(answers) && in_clusters(answers)),
    text("graceful-shutdown", "Graceful shutdown, in seconds (Enterprise or Ultimate edition)", "", Reading::One)
        .help("empty: none; a pod has 30 seconds by itself").when(advanced),
];

#[cfg(test)]
mod tests {
    use super::super::words::understood;
    use super::*;

    /// Every choice and every default is what the command takes.
    #[test]
    fn answers_are_flags() {
        for question in QUESTIONS {
            let words: Vec<Word> = match question.kind {
                Kind::Choice(choices) => {
                    choices.iter().filter_map(|(_, word)| *word).map(|(flag, value)| Word::new(flag, value)).collect()
                }
                Kind::Text { default, .. } => {
                    default.split_whitespace().map(|value| Word::new(question.key, Some(value))).collect()
                }
                Kind::Clusters => vec![Word::new(question.key, Some("m1c1"))],
            };
            for word in words {
                let needed = (word.flag == "override-listeners").then(|| Word::new(REUSE, Some("lb-1")));
                if let Err(error) = understood(&[word.clone()].into_iter().chain(needed).collect::<Vec<_>>()) {
                    panic!("{}: {word:?}: {error}", question.key);
                }
            }
        }
    }
}

//! Bookinfo, Istio's sample application, as a table: services, their versions, and who calls whom.
//!
//! Names, labels, ports and images are those of ASM's documentation (image tag 1.15.0), so that what is written here and
//! what the documentation's manifests create are the same objects.

/// A service of the application.
#[derive(Debug)]
pub struct Service {
    /// Name of the Service; label `app` of its pods.
    pub name: &'static str,
    /// What it does, for a comment.
    pub about: &'static str,
    /// Its versions, each a Deployment.
    pub versions: &'static [Version],
}

/// A version of a service.
#[derive(Debug)]
pub struct Version {
    /// Label `version` of its pods.
    pub name: &'static str,
    /// What distinguishes it, for a comment; empty when there is only one.
    pub about: &'static str,
    /// The services it calls.
    pub calls: &'static [&'static str],
}

const fn version(name: &'static str, about: &'static str, calls: &'static [&'static str]) -> Version {
    Version { name, about, calls }
}

/// Port on which every service listens.
pub(super) const PORT: u16 = 9080;
/// Tag of every image.
const TAG: &str = "1.15.0";

/// The application, callees before callers.
pub const BOOKINFO: &[Service] = &[
    Service {
        name: "details",
        about: "pages, language and publisher of the book",
        versions: &[version("v1", "", &[])],
    },
    Service { name: "ratings", about: "the stars that readers gave", versions: &[version("v1", "", &[])] },
    Service {
        name: "reviews",
        about: "what readers think of the book",
        versions: &[
            version("v1", "no stars", &[]),
            version("v2", "black stars", &["ratings"]),
            version("v3", "red stars", &["ratings"]),
        ],
    },
    Service { name: "productpage", about: "the page itself", versions: &[version("v1", "", &["details", "reviews"])] },
];

/// A service by its name.
pub(super) fn service(name: &str) -> Option<&'static Service> {
    BOOKINFO.iter().find(|service| service.name == name)
}

/// The image of a version.
pub(super) fn image(service: &Service, version: &Version) -> String {
    format!("docker.io/istio/examples-bookinfo-{}-{}:{TAG}", service.name, version.name)
}

/// The split of ASM's documentation: `reviews-v3` in the first cluster, everything else in the second.
pub(super) fn is_in_first_cluster_of_split(service: &Service, version: &Version) -> bool {
    (service.name, version.name) == ("reviews", "v3")
}

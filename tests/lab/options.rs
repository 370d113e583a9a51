//! What kind of lab to start.

use std::time::Duration;

use crate::dataplane::DataPlaneOptions;

/// Told what happens, line by line.
pub type Progress = Box<dyn Fn(&str) + Send + Sync>;

/// What kind of lab to start. The default is a whole one.
pub struct LabOptions {
    /// Names of the member clusters.
    pub members: Vec<String>,
    /// Whether the simulated ASM controller works.
    pub asm: bool,
    /// Whether the simulated cloud controller managers work.
    pub cloud: bool,
    /// Whether the simulated kubelets work.
    pub kubelet: bool,
    /// Whether kube-controller-manager runs. Without it nothing deletes namespaces, collects garbage or makes pods.
    pub controller_manager: bool,
    /// How long a pod takes to end.
    pub termination: Duration,
    /// How long a load balancer takes to be made.
    pub provisioning: Duration,
    /// First and longest pause before a refused load balancer is tried again.
    pub cloud_retry: (Duration, Duration),
    /// What of a data plane runs: istiod, Envoy, apps, traffic. Only inside an [`dataplane::enclosure`].
    pub data_plane: Option<DataPlaneOptions>,
    /// Told what happens while the lab starts.
    pub progress: Option<Progress>,
}

impl Default for LabOptions {
    fn default() -> Self {
        Self {
            members: vec!["m1c1".to_owned(), "m1c2".to_owned()],
            asm: true,
            cloud: true,
            kubelet: true,
            controller_manager: true,
            termination: Duration::from_millis(100),
            provisioning: Duration::from_millis(100),
            // The real one's.
            cloud_retry: (Duration::from_secs(5), Duration::from_secs(300)),
            data_plane: None,
            progress: None,
        }
    }
}

impl LabOptions {
    /// A lab with a data plane.
    #[must_use]
    pub fn live() -> Self {
        // Endpoints leave first, then the pod stops: as long as the proxies take to hear of it.
        let termination = Duration::from_millis(500);
        Self { data_plane: Some(DataPlaneOptions::default()), termination, ..Self::default() }
    }
}

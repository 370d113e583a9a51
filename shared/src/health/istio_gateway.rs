//! An IstioGateway has no conditions and no observedGeneration: `status.Status`, `status.ErrorMessage` and the addresses
//! are all there is (asm-domain reference 1.7).

use super::Health;
use crate::asm::{addresses, gateway};
use crate::object::At as _;
use serde_json::Value;

pub(super) fn judge(live: &Value) -> Health {
    let text = |pointer| live.at(pointer).and_then(Value::as_str).unwrap_or_default();
    let error = text("/status/ErrorMessage");
    if !error.is_empty() {
        return Health::Failed(error.to_owned());
    }
    let state = text("/status/Status");
    if state != "Running" {
        let state = if state.is_empty() { "no status yet" } else { state };
        return Health::Progressing(format!("waits for ASM ({state})"));
    }
    if !gateway::wants_load_balancer(live) {
        return Health::Healthy;
    }
    let clusters = gateway::cluster_ids(live).len();
    let found = addresses::of_istio_gateway(live).len();
    let wanted = if gateway::is_serverless(live) { 1 } else { clusters };
    if found < wanted.max(1) {
        return Health::Progressing(format!("has {found} of {} addresses", wanted.max(1)));
    }
    Health::Healthy
}

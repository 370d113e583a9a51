//! A LoadBalancer Service works when it has an address; every other Service works at once.

use super::Health;
use crate::asm::addresses;
use crate::object::At as _;
use serde_json::Value;

pub(super) fn judge(live: &Value) -> Health {
    if live.at("/spec/type").and_then(Value::as_str) != Some("LoadBalancer") {
        return Health::Healthy;
    }
    if addresses::of_service(live).is_empty() {
        return Health::Progressing("waits for its load balancer's address".to_owned());
    }
    Health::Healthy
}

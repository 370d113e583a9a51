//! One rule, one file. The file's name is the rule's ID with underscores; its module comment is its documentation page.

pub(super) mod destination_host;
pub(super) mod destination_port;
pub(super) mod destination_rule_host;
pub(super) mod destination_subset;
pub(super) mod gateway_port;
pub(super) mod gateway_selector;
pub(super) mod ineffective_match;
pub(super) mod service_differs;
pub(super) mod subset_pods;
pub(super) mod unreachable_rule;
pub(super) mod virtual_service_gateway;
pub(super) mod virtual_service_host;

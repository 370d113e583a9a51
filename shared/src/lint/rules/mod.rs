//! One rule, one file. The file's name is the rule's ID with underscores; its module comment is its documentation page.

pub(super) mod destination_host;
pub(super) mod destination_subset;
pub(super) mod gateway_selector;
#[cfg(feature = "schema")]
pub(super) mod schema;
pub(super) mod subset_pods;
#[cfg(feature = "schema")]
pub(super) mod unknown_field;
pub(super) mod virtual_service_gateway;
pub(super) mod virtual_service_host;

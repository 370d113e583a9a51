//! One rule, one file. The file's name is the rule's ID with underscores; its module comment is its documentation page.

pub(super) mod destination_host;
pub(super) mod destination_subset;
pub(super) mod gateway_selector;
pub(super) mod subset_pods;
pub(super) mod virtual_service_gateway;
pub(super) mod virtual_service_host;

// Gateways of ASM and load balancers.
pub(super) mod address_lost;
pub(super) mod annotation_layer;
pub(super) mod annotation_no_effect;
pub(super) mod annotation_place;
pub(super) mod annotation_product;
pub(super) mod annotation_twice;
pub(super) mod annotation_unknown;
pub(super) mod annotation_value;
pub(super) mod annotation_version;
pub(super) mod controller_owned_field;
pub(super) mod dead_door;
pub(super) mod drain_timeout;
pub(super) mod edition_and_version;
pub(super) mod eni_target_port;
pub(super) mod gateway_reaches_many;
pub(super) mod immutable_change;
pub(super) mod istio_gateway_clusters;
pub(super) mod istio_gateway_namespace;
pub(super) mod listener_forward;
pub(super) mod listener_protocol;
pub(super) mod load_balancer_class;
pub(super) mod load_balancer_listeners;
pub(super) mod load_balancer_port;
pub(super) mod load_balancer_selector;
pub(super) mod load_balancer_shared;
pub(super) mod nlb_port_range;
pub(super) mod nlb_zone_maps;
pub(super) mod node_port;
pub(super) mod reserved_pod_label;
pub(super) mod serverless_gateway_field;
pub(super) mod service_ports;
pub(super) mod shared_label_missing;
pub(super) mod spec_without_pay_by_spec;
pub(super) mod traffic_policy_local;
pub(super) mod two_doors;
pub(super) mod unknown_cluster_id;

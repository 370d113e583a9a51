//! The list of rules. A new rule is a file in `rules/`, a line here and a folder of fixtures; a test holds them together.

use super::rule::Rule;
use super::rules;
use super::upkeep::UPKEEP;

/// All rules, in the order of the documentation.
pub const RULES: &[&Rule] = &[
    #[cfg(feature = "schema")]
    &rules::schema::RULE,
    #[cfg(feature = "schema")]
    &rules::unknown_field::RULE,
    &rules::gateway_selector::RULE,
    &rules::virtual_service_gateway::RULE,
    &rules::virtual_service_host::RULE,
    &rules::destination_host::RULE,
    &rules::destination_subset::RULE,
    &rules::subset_pods::RULE,
    &rules::service_pods::RULE,
    &rules::workload_selector::RULE,
    &rules::gateway_port::RULE,
    &rules::destination_port::RULE,
    &rules::destination_rule_host::RULE,
    &rules::unreachable_rule::RULE,
    &rules::ineffective_match::RULE,
    &rules::service_differs::RULE,
    &rules::caller_service::RULE,
    &rules::conflicting_gateways::RULE,
    &rules::conflicting_mesh_hosts::RULE,
    &rules::order_hazard::RULE,
    &rules::host_hidden::RULE,
    &rules::dead_server::RULE,
    &rules::duplicate_certificate::RULE,
    &rules::certificate_reach::RULE,
    &rules::port_name::RULE,
    &rules::external_name_port::RULE,
    &rules::service_port_conflict::RULE,
    &rules::tls_verification::RULE,
    &rules::ingress_subset::RULE,
    &rules::weights::RULE,
    &rules::rule_action::RULE,
    &rules::route_test::RULE,
    &rules::regex::RULE,
    &rules::jwt_claim::RULE,
    &rules::service_entry_addresses::RULE,
    &rules::service_entry_protocol::RULE,
    &rules::service_entries_overlap::RULE,
    &rules::generated_gateway::RULE,
    &rules::export_to::RULE,
    &rules::subset_in_one_cluster::RULE,
    &rules::ineffective_selector::RULE,
    &rules::proxy_user::RULE,
    &rules::deprecated_field::RULE,
    &rules::delegate_contradiction::RULE,
    &rules::gateway_api_version::RULE,
    &rules::gateway_api_parent::RULE,
    &rules::gateway_api_backend::RULE,
    &rules::gateway_api_class::RULE,
    &rules::gateway_api_address::RULE,
    &rules::credential_content::RULE,
    &rules::gateway_host::RULE,
    &rules::gateway_server::RULE,
    &rules::server_tls::RULE,
    &rules::host_name::RULE,
    &rules::virtual_service_shape::RULE,
    &rules::rule_value::RULE,
    &rules::header_name::RULE,
    &rules::match_value::RULE,
    &rules::sni_host::RULE,
    &rules::subset_name::RULE,
    &rules::export_to_value::RULE,
    &rules::unknown_namespace::RULE,
    &rules::traffic_policy::RULE,
    &rules::destination_rules_overlap::RULE,
    &rules::idle_patch::RULE,
    &rules::target_port::RULE,
    &rules::mtls_contradiction::RULE,
    &rules::istio_annotation_unknown::RULE,
    &rules::istio_annotation_place::RULE,
    &rules::istio_annotation_value::RULE,
    &rules::istio_annotation_deprecated::RULE,
    &rules::istio_annotation_alpha::RULE,
    // Gateways of ASM and load balancers.
    &rules::istio_gateway_namespace::RULE,
    &rules::istio_gateway_clusters::RULE,
    &rules::unknown_cluster_id::RULE,
    &rules::shared_label_missing::RULE,
    &rules::gateway_reaches_many::RULE,
    &rules::controller_owned_field::RULE,
    &rules::load_balancer_selector::RULE,
    &rules::load_balancer_port::RULE,
    &rules::node_port::RULE,
    &rules::annotation_unknown::RULE,
    &rules::annotation_value::RULE,
    &rules::annotation_twice::RULE,
    &rules::annotation_product::RULE,
    &rules::annotation_place::RULE,
    &rules::annotation_layer::RULE,
    &rules::annotation_no_effect::RULE,
    &rules::annotation_version::RULE,
    &rules::spec_without_pay_by_spec::RULE,
    &rules::load_balancer_shared::RULE,
    &rules::load_balancer_listeners::RULE,
    &rules::listener_protocol::RULE,
    &rules::listener_forward::RULE,
    &rules::nlb_zone_maps::RULE,
    &rules::nlb_port_range::RULE,
    &rules::eni_target_port::RULE,
    &rules::eni_network::RULE,
    &rules::load_balancer_class::RULE,
    &rules::reserved_pod_label::RULE,
    &rules::serverless_gateway_field::RULE,
    &rules::edition_and_version::RULE,
    &rules::drain_timeout::RULE,
    &rules::traffic_policy_local::RULE,
    &rules::immutable_change::RULE,
    &rules::address_lost::RULE,
    &rules::dead_door::RULE,
    &rules::two_doors::RULE,
    &rules::service_ports::RULE,
];

/// Every rule that has a page: what lint says of the files and of its settings, then [`RULES`].
pub fn all() -> impl Iterator<Item = &'static Rule> {
    UPKEEP.iter().chain(RULES).copied()
}

/// The rule of this ID.
pub fn find(id: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_rule_has_an_id_of_its_own_and_a_page_that_says_what_why_and_how() {
        let ids: BTreeSet<_> = all().map(|rule| rule.id).collect();
        assert_eq!(ids.len(), all().count());
        for rule in all() {
            let page = rule.page();
            let kebab = rule.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
            assert!(kebab, "{}", rule.id);
            for heading in ["## What it finds", "## Why it is bad", "## How to mend it"] {
                assert!(page.contains(heading), "{}: {heading} is missing", rule.id);
            }
        }
    }
}

//! The catalogue: one file per rule, two lines each here.

mod close_1006_client_closed_hard;
mod close_1006_flow_expired;
mod close_1006_half_close;
mod close_1006_idle_timeout;
mod close_1006_lifetime_limit;
mod close_1006_peer_fin;
mod close_1006_peer_rst;
mod close_1011;
mod close_code_meaning;
mod close_data_after_close;
mod close_failed_by_receiver;
mod close_handshake_incomplete;
mod close_illegal;
mod close_lost_to_rst;
mod close_tcp_lingers;
mod end_unknown;
mod net_half_open;
mod net_rst_injected;

use super::Rule;

/// All rules, in the order of the catalogue.
pub static ALL: &[&Rule] = &[
    &close_1006_idle_timeout::RULE,
    &close_1006_flow_expired::RULE,
    &close_1006_lifetime_limit::RULE,
    &close_1006_peer_fin::RULE,
    &close_1006_peer_rst::RULE,
    &close_lost_to_rst::RULE,
    &close_failed_by_receiver::RULE,
    &close_1011::RULE,
    &close_handshake_incomplete::RULE,
    &close_illegal::RULE,
    &close_code_meaning::RULE,
    &close_data_after_close::RULE,
    &close_tcp_lingers::RULE,
    &end_unknown::RULE,
    &net_half_open::RULE,
    &net_rst_injected::RULE,
    &close_1006_client_closed_hard::RULE,
    &close_1006_half_close::RULE,
];

/// The rule of this id.
pub fn by_id(id: &str) -> Option<&'static Rule> {
    ALL.iter().copied().find(|rule| rule.id == id)
}

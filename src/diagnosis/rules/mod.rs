//! The catalogue: one file per rule, two lines each here.

mod auth_origin_rejected;
mod auth_rejected;
mod close_1006_peer_fin;
mod hs_aborted_by_client;
mod hs_bad_101;
mod hs_bad_accept;
mod hs_bad_request;
mod hs_connect_refused;
mod hs_connect_timeout;
mod hs_connect_unreachable;
mod hs_data_before_101;
mod hs_http_status;
mod hs_no_response;
mod hs_not_http;
mod hs_scheme_mismatch;
mod hs_slow;
mod hs_sticky_session;
mod hs_subprotocol_none;
mod hs_upgrade_stripped;

use super::Rule;

/// All rules, in the order of the catalogue.
pub static ALL: &[&Rule] = &[
    &hs_connect_refused::RULE,
    &hs_connect_timeout::RULE,
    &hs_no_response::RULE,
    &hs_http_status::RULE,
    &hs_upgrade_stripped::RULE,
    &hs_bad_request::RULE,
    &hs_bad_accept::RULE,
    &hs_bad_101::RULE,
    &hs_subprotocol_none::RULE,
    &hs_scheme_mismatch::RULE,
    &hs_aborted_by_client::RULE,
    &hs_sticky_session::RULE,
    &hs_slow::RULE,
    &close_1006_peer_fin::RULE,
    &auth_rejected::RULE,
    &auth_origin_rejected::RULE,
    &hs_connect_unreachable::RULE,
    &hs_not_http::RULE,
    &hs_data_before_101::RULE,
];

/// The rule of this id.
pub fn by_id(id: &str) -> Option<&'static Rule> {
    ALL.iter().copied().find(|rule| rule.id == id)
}

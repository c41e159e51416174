//! The catalogue: one file per rule, two lines each here.

mod auth_origin_rejected;
mod auth_rejected;
mod cap_clock;
mod cap_duplicates;
mod cap_mid_session;
mod cap_no_keys;
mod cap_no_websocket;
mod cap_offload;
mod cap_one_way;
mod cap_packet_loss;
mod cap_snaplen;
mod cap_truncated_file;
mod close_1006_peer_fin;
mod cmp_context_unavailable;
mod cmp_cost;
mod cmp_inflate_error;
mod cmp_not_negotiated;
mod hb_gap;
mod hb_interval_risky;
mod hb_irregular;
mod hb_none;
mod hb_pong_anomaly;
mod hb_pong_missing;
mod hb_pong_slow;
mod hb_pong_timeout;
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
mod pv_fragmentation;
mod pv_http_in_stream;
mod pv_length;
mod pv_mask;
mod pv_mask_weak;
mod pv_opcode;
mod pv_rsv;
mod pv_truncated;
mod pv_utf8;

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
    &hb_none::RULE,
    &hb_pong_timeout::RULE,
    &hb_pong_slow::RULE,
    &hb_interval_risky::RULE,
    &hb_pong_anomaly::RULE,
    &pv_mask::RULE,
    &pv_rsv::RULE,
    &pv_opcode::RULE,
    &pv_fragmentation::RULE,
    &pv_length::RULE,
    &pv_utf8::RULE,
    &pv_http_in_stream::RULE,
    &pv_truncated::RULE,
    &cmp_inflate_error::RULE,
    &cmp_not_negotiated::RULE,
    &cmp_cost::RULE,
    &cmp_context_unavailable::RULE,
    &cap_mid_session::RULE,
    &cap_packet_loss::RULE,
    &cap_one_way::RULE,
    &cap_snaplen::RULE,
    &cap_duplicates::RULE,
    &cap_offload::RULE,
    &cap_no_keys::RULE,
    &cap_clock::RULE,
    &cap_no_websocket::RULE,
    &hb_gap::RULE,
    &hb_irregular::RULE,
    &hb_pong_missing::RULE,
    &pv_mask_weak::RULE,
    &cap_truncated_file::RULE,
];

/// The rule of this id.
pub fn by_id(id: &str) -> Option<&'static Rule> {
    ALL.iter().copied().find(|rule| rule.id == id)
}

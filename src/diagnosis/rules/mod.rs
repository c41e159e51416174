//! The catalogue: one file per rule, two lines each here.

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
    &close_1006_peer_fin::RULE,
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

//! The catalogue: one file per rule, two lines each here.

mod app_error_response;
mod app_init_missing;
mod app_invalid_json;
mod app_message_too_big;
mod app_resubscribe_missing;
mod app_silent_subscription;
mod auth_error_message;
mod auth_expiry_kill;
mod auth_origin_rejected;
mod auth_rejected;
mod auth_retry_same_token;
mod auth_token_expired;
mod auth_token_malformed;
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
mod cmp_context_unavailable;
mod cmp_cost;
mod cmp_inflate_error;
mod cmp_not_negotiated;
mod end_unknown;
mod flow_sender_backlog;
mod flow_server_evicts_slow;
mod flow_slow_consumer;
mod flow_zero_window;
mod hb_app_unanswered;
mod hb_app_vs_ws_divergence;
mod hb_contract_violated;
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
mod lat_burst_delivery;
mod lat_gap;
mod lat_hol_blocking;
mod lat_nagle_delack;
mod lat_request_slow;
mod lat_retransmit;
mod lat_server_stall;
mod lat_unanswered;
mod net_bandwidth_limited;
mod net_half_open;
mod net_keepalive_useless;
mod net_loss;
mod net_mtu_blackhole;
mod net_rst_injected;
mod net_stall;
mod pattern_blame;
mod pattern_connection_leak;
mod pattern_duplicate_connections;
mod pattern_mass_disconnect;
mod pattern_network_change;
mod pattern_no_backoff;
mod pattern_periodic_disconnect;
mod pattern_reconnect_loop;
mod pattern_reconnect_storm;
mod pattern_uneven_backends;
mod pattern_ungraceful_shutdown;
mod pv_fragmentation;
mod pv_http_in_stream;
mod pv_length;
mod pv_mask;
mod pv_mask_weak;
mod pv_opcode;
mod pv_rsv;
mod pv_truncated;
mod pv_utf8;
mod tls_alert;
mod tls_cert_problem;
mod tls_client_rejected_cert;
mod tls_close_without_notify;
mod tls_legacy_version;
mod tls_no_response;

pub(super) use hs_data_before_101::BY_ACKNOWLEDGMENT;

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
    &tls_alert::RULE,
    &tls_client_rejected_cert::RULE,
    &tls_cert_problem::RULE,
    &tls_close_without_notify::RULE,
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
    &hb_none::RULE,
    &hb_pong_timeout::RULE,
    &hb_pong_slow::RULE,
    &hb_app_unanswered::RULE,
    &hb_app_vs_ws_divergence::RULE,
    &hb_contract_violated::RULE,
    &lat_request_slow::RULE,
    &lat_unanswered::RULE,
    &app_error_response::RULE,
    &app_init_missing::RULE,
    &app_invalid_json::RULE,
    &app_message_too_big::RULE,
    &app_resubscribe_missing::RULE,
    &app_silent_subscription::RULE,
    &hb_interval_risky::RULE,
    &hb_pong_anomaly::RULE,
    &lat_nagle_delack::RULE,
    &lat_hol_blocking::RULE,
    &lat_retransmit::RULE,
    &lat_server_stall::RULE,
    &lat_burst_delivery::RULE,
    &net_loss::RULE,
    &net_half_open::RULE,
    &net_mtu_blackhole::RULE,
    &net_rst_injected::RULE,
    &net_keepalive_useless::RULE,
    &flow_zero_window::RULE,
    &flow_slow_consumer::RULE,
    &flow_sender_backlog::RULE,
    &flow_server_evicts_slow::RULE,
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
    &auth_rejected::RULE,
    &auth_token_expired::RULE,
    &auth_token_malformed::RULE,
    &auth_retry_same_token::RULE,
    &auth_error_message::RULE,
    &auth_expiry_kill::RULE,
    &auth_origin_rejected::RULE,
    &cap_mid_session::RULE,
    &cap_packet_loss::RULE,
    &cap_one_way::RULE,
    &cap_snaplen::RULE,
    &cap_duplicates::RULE,
    &cap_offload::RULE,
    &cap_no_keys::RULE,
    &cap_clock::RULE,
    &cap_no_websocket::RULE,
    &hs_connect_unreachable::RULE,
    &hs_not_http::RULE,
    &hs_data_before_101::RULE,
    &close_1006_client_closed_hard::RULE,
    &close_1006_half_close::RULE,
    &hb_gap::RULE,
    &hb_irregular::RULE,
    &hb_pong_missing::RULE,
    &pv_mask_weak::RULE,
    &cap_truncated_file::RULE,
    &tls_no_response::RULE,
    &tls_legacy_version::RULE,
    &pattern_reconnect_loop::RULE,
    &pattern_reconnect_storm::RULE,
    &pattern_no_backoff::RULE,
    &pattern_mass_disconnect::RULE,
    &pattern_ungraceful_shutdown::RULE,
    &pattern_periodic_disconnect::RULE,
    &pattern_connection_leak::RULE,
    &pattern_duplicate_connections::RULE,
    &pattern_uneven_backends::RULE,
    &pattern_blame::RULE,
    &pattern_network_change::RULE,
    &lat_gap::RULE,
    &net_stall::RULE,
    &net_bandwidth_limited::RULE,
];

/// The rule of this id.
pub fn by_id(id: &str) -> Option<&'static Rule> {
    ALL.iter().copied().find(|rule| rule.id == id)
}

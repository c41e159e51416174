//! The numbers that opinions depend on.

use std::time::Duration;

use super::timeouts::Timeouts;

/// All thresholds, in one place, so that they can be shown and changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// A Ping counts as unanswered after this many median round trips ...
    pub pong_rtts: u32,
    /// ... but not before this much time.
    pub pong_floor: Duration,
    /// A Ping interval is a gap beyond this multiple of the median.
    pub gap_factor: f64,
    /// ... and only beyond this: a shorter time without a Ping is none that
    /// any timer on the path could notice. They count in seconds.
    pub gap_floor: Duration,
    /// A Ping round trip is slow beyond this ...
    pub pong_slow: Duration,
    /// ... and this many TCP round trips.
    pub pong_slow_rtts: u32,
    /// A silence that some proxy's idle timer would have ended.
    pub long_idle: Duration,
    /// An opening handshake is slow beyond this.
    pub slow_handshake: Duration,
    /// An upgrade request without an answer counts as unanswered after this, if nobody ended the connection before.
    pub no_response: Duration,
    /// Replies are slow beyond this ...
    pub reply_slow: Duration,
    /// ... and one among others beyond this many times what half of them take, too.
    pub reply_spike: u32,
    /// A request counts as unanswered after this many times what the slowest replies took ...
    pub reply_times: u32,
    /// ... and this much time; or, where later ones were answered, after the longest time that one took ...
    pub reply_floor: Duration,
    /// ... but not before this much time ...
    pub reply_overtaken: Duration,
    /// ... and this many times what half of the replies take.
    pub reply_medians: u32,
    /// Both Close frames were sent, and the transport stays: it lingers beyond this.
    pub linger: Duration,
    /// The timers of others that are known.
    pub timeouts: &'static Timeouts,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            pong_rtts: 3,
            pong_floor: Duration::from_secs(1),
            gap_factor: 1.5,
            gap_floor: Duration::from_secs(1),
            pong_slow: Duration::from_millis(250),
            pong_slow_rtts: 5,
            long_idle: Duration::from_secs(30),
            slow_handshake: Duration::from_secs(1),
            no_response: Duration::from_secs(5),
            reply_slow: Duration::from_millis(500),
            reply_spike: 10,
            reply_times: 3,
            reply_floor: Duration::from_secs(30),
            reply_overtaken: Duration::from_millis(500),
            reply_medians: 10,
            linger: Duration::from_secs(1),
            timeouts: Timeouts::built_in(),
        }
    }
}

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
            linger: Duration::from_secs(1),
            timeouts: Timeouts::built_in(),
        }
    }
}

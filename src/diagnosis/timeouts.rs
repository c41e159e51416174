//! Timers of proxies, devices and libraries that end WebSockets.

use std::time::Duration;

/// What a timer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counts {
    /// Time without bytes; the owner then ends the connection.
    Idle,
    /// Time without packets; the owner then forgets the flow without a word.
    Flow,
    /// The connection's age.
    Lifetime,
    /// Time until an answer to Close.
    CloseWait,
}

/// One timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    /// After this many seconds.
    pub seconds: u64,
    /// Of what.
    pub counts: Counts,
    /// Whose timer, and the name of its setting where there is one.
    pub owner: &'static str,
    /// How the end looks.
    pub end: &'static str,
    /// The end's signature was seen on the wire; otherwise it is typical, from
    /// documentation or hearsay.
    pub verified: bool,
}

const fn row(
    seconds: u64,
    counts: Counts,
    owner: &'static str,
    end: &'static str,
    verified: bool,
) -> Timeout {
    Timeout {
        seconds,
        counts,
        owner,
        end,
        verified,
    }
}

/// All timers, shortest first.
pub const TABLE: &[Timeout] = &[
    row(
        2,
        Counts::CloseWait,
        "Chromium, for the server to close TCP after both Close frames",
        "FIN of the client",
        true,
    ),
    row(
        10,
        Counts::CloseWait,
        "aiohttp and Python websockets (close_timeout)",
        "FIN of the closer",
        true,
    ),
    row(
        30,
        Counts::Idle,
        "OpenShift router (timeout client), Azure Application Gateway, Jetty's and Java's containers",
        "FIN",
        false,
    ),
    row(
        30,
        Counts::Lifetime,
        "Google Cloud's external load balancer (backend service timeout)",
        "FIN",
        false,
    ),
    row(
        30,
        Counts::CloseWait,
        "Node ws (closeTimeout), Tomcat",
        "FIN or reset of the closer",
        true,
    ),
    row(
        45,
        Counts::Idle,
        "socket.io (pingInterval 25 s + pingTimeout 20 s)",
        "FIN or Close",
        false,
    ),
    row(55, Counts::Idle, "the Heroku router", "FIN", false),
    row(
        60,
        Counts::Idle,
        "nginx (proxy_read_timeout, proxy_send_timeout), ingress-nginx",
        "FIN on both legs, the upstream one first",
        true,
    ),
    row(
        60,
        Counts::Idle,
        "AWS ALB and CLB (idle timeout), DigitalOcean's load balancer, Phoenix (:timeout), gorilla's chat example (pongWait)",
        "FIN",
        false,
    ),
    row(60, Counts::CloseWait, "Chromium", "FIN of the client", true),
    row(
        100,
        Counts::Idle,
        "Cloudflare, by hearsay",
        "FIN or reset",
        false,
    ),
    row(
        120,
        Counts::Idle,
        "uWebSockets and Bun (idleTimeout), Pusher (activity_timeout), IIS",
        "FIN",
        false,
    ),
    row(
        240,
        Counts::Flow,
        "Azure Load Balancer and NAT gateway",
        "silence, or resets to both where TCP reset is on",
        false,
    ),
    row(
        270,
        Counts::Idle,
        "Cloudflare Gateway",
        "FIN or reset",
        false,
    ),
    row(
        300,
        Counts::Idle,
        "Envoy and Istio (stream_idle_timeout), Azure Front Door, Jetty's WebSocket, mosquitto",
        "FIN",
        false,
    ),
    row(
        300,
        Counts::Lifetime,
        "Cloud Run (request timeout), Vercel functions",
        "FIN",
        false,
    ),
    row(
        350,
        Counts::Flow,
        "AWS NLB, NAT gateway, Network Firewall and connection tracking",
        "silence, then a reset or nothing for the next packet",
        false,
    ),
    row(
        400,
        Counts::Idle,
        "Cloudflare, towards the client",
        "FIN",
        false,
    ),
    row(
        600,
        Counts::Idle,
        "AWS API Gateway, nginx's stream module (proxy_timeout)",
        "FIN or Close",
        false,
    ),
    row(
        600,
        Counts::Flow,
        "Google Cloud's connection tracking",
        "silence",
        false,
    ),
    row(
        900,
        Counts::Idle,
        "Cloudflare, towards the origin",
        "FIN",
        false,
    ),
    row(900, Counts::Flow, "kube-proxy with IPVS", "silence", false),
    row(
        3_600,
        Counts::Idle,
        "Envoy's TCP proxy, haproxy (timeout tunnel, in its examples)",
        "FIN",
        false,
    ),
    row(
        3_600,
        Counts::Lifetime,
        "App Engine flexible, Cloud Run at most",
        "FIN",
        false,
    ),
    row(
        7_200,
        Counts::Lifetime,
        "AWS API Gateway",
        "FIN or Close",
        false,
    ),
    row(14_400, Counts::Lifetime, "Azure Front Door", "FIN", false),
    row(
        86_400,
        Counts::Lifetime,
        "Binance's streams, Daphne (websocket_timeout)",
        "FIN or Close",
        false,
    ),
];

impl Timeout {
    /// The time after which it strikes.
    pub const fn after(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// One line for a list of candidates.
    pub fn candidate(&self) -> String {
        let typical = if self.verified { "" } else { "typical: " };
        format!("{}: {} s ({typical}{})", self.owner, self.seconds, self.end)
    }
}

/// The timers of this kind that `measured` fits.
pub fn fitting(counts: Counts, measured: Duration) -> impl Iterator<Item = &'static Timeout> {
    TABLE
        .iter()
        .filter(move |timeout| timeout.counts == counts && fits(timeout.after(), measured))
}

/// The devices that forget a flow after at most this silence, the longest timer first.
pub fn forgets_after(silence: Duration) -> impl Iterator<Item = &'static Timeout> {
    TABLE
        .iter()
        .rev()
        .filter(move |timeout| timeout.counts == Counts::Flow && timeout.after() <= silence)
}

/// Within the tolerance: the larger of 0.25 s and 0.5 % early, of 1.5 s and 2 % late.
pub fn fits(limit: Duration, measured: Duration) -> bool {
    let early = Duration::from_millis(250).max(limit / 200);
    let late = Duration::from_millis(1_500).max(limit / 50);
    measured >= limit.saturating_sub(early) && measured <= limit.saturating_add(late)
}

/// A whole number of seconds, as people configure timers; `None` otherwise.
///
/// Rationale: measured timers strike up to 24 ms late (nginx and haproxy, 1 s
/// to 4 s); 10 ms early covers clocks that tick apart.
pub fn whole_seconds(measured: Duration) -> Option<u64> {
    let seconds = measured.saturating_add(Duration::from_millis(10)).as_secs();
    let late = measured.saturating_sub(Duration::from_secs(seconds));
    let tolerance = Duration::from_millis(50).max(Duration::from_secs(seconds) / 200);
    (seconds > 0 && late <= tolerance).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(TABLE.is_sorted_by_key(|timeout| timeout.seconds));
    }

    #[test]
    fn a_minute_fits_nginx_and_not_heroku() {
        let owners: Vec<_> = fitting(Counts::Idle, Duration::from_millis(60_017))
            .map(|timeout| timeout.seconds)
            .collect();
        assert_eq!(owners, [60, 60]);
        assert_eq!(
            fitting(Counts::Idle, Duration::from_millis(62_000)).count(),
            0
        );
        assert_eq!(
            fitting(Counts::Idle, Duration::from_millis(59_500)).count(),
            0
        );
    }

    #[test]
    fn timers_strike_at_whole_seconds_or_a_little_later() {
        let ms = Duration::from_millis;
        assert_eq!(whole_seconds(ms(1_001)), Some(1));
        assert_eq!(whole_seconds(ms(3_995)), Some(4));
        assert_eq!(whole_seconds(ms(4_024)), Some(4));
        assert_eq!(whole_seconds(ms(4_300)), None);
        assert_eq!(whole_seconds(ms(40)), None);
    }
}

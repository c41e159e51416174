//! What was read, and what of it could not be used: the report's *capture quality*.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::Undecrypted;
use super::{Clocks, SameAs};
use crate::stream::{GapCause, PacketRef, Sides};
use crate::time::Timestamp;

/// One input file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureFile {
    /// As given.
    pub path: PathBuf,
    /// `pcap` or `pcapng`.
    pub format: &'static str,
    /// Packets read.
    pub packets: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Time of the first packet.
    pub first: Option<Timestamp>,
    /// Time of the last packet.
    pub last: Option<Timestamp>,
    /// Comments that somebody left on the file, an interface or a packet.
    pub comments: Vec<String>,
    /// Where and how it is damaged.
    pub damage: Option<Damage>,
    /// Its clock was ahead of another file's, and its times are told without that.
    pub lead: Option<Lead>,
}

/// How far a file's clock was ahead, and the two packets that show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lead {
    /// Nanoseconds; negative where it was behind.
    pub nanos: i64,
    /// Bytes, as their file stamps them.
    pub sent: PacketRef,
    /// Their acknowledgment in the other file.
    pub acked: PacketRef,
}

/// Where a file stops making sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Byte offset in the (uncompressed) file.
    pub offset: u64,
    /// What stands there.
    pub what: String,
}

/// What `--filter` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filtered {
    /// The expression, as given.
    pub expression: String,
    /// Packets that it let pass.
    pub matched: u64,
    /// Packets that it left out.
    pub left_out: u64,
    /// Among those: with a VLAN tag, behind which BPF looks only when told to.
    pub tagged: u64,
    /// Among those: IP fragments other than first ones. They have no ports.
    pub fragments: u64,
    /// Among those: of link types on which libpcap can't answer the expression.
    pub not_filterable: u64,
}

impl Filtered {
    /// What the expression may have missed that it was not meant to.
    pub fn hints(&self) -> Vec<String> {
        let mut hints = Vec::new();
        if self.tagged > 0 {
            hints.push(format!(
                "{} of them carry a VLAN tag, behind which BPF looks only after the word vlan: '(EXPR) or (vlan and (EXPR))'",
                self.tagged
            ));
        }
        if self.matched == 0 && self.left_out > 0 && self.tagged == 0 && self.not_filterable == 0 {
            hints.push("BPF looks at the outermost headers only, not into tunnels".to_owned());
        }
        if self.fragments > 0 {
            hints.push(format!(
                "{} of them are later fragments of IP datagrams, which have no ports: add 'or ip[6:2] & 0x1fff != 0'",
                self.fragments
            ));
        }
        if self.not_filterable > 0 {
            hints.push(format!(
                "{} of them begin in a way on which libpcap can't answer this expression",
                self.not_filterable
            ));
        }
        hints
    }
}

/// Missing bytes of one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GapTotal {
    /// Why.
    pub cause: GapCause,
    /// How many gaps.
    pub count: u64,
    /// How many bytes, where that is known.
    pub bytes: u64,
}

/// Connections of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The packet that shows it of the first one, and its `tcp.stream`.
    pub first: Option<(PacketRef, u32)>,
}

impl Tally {
    /// One more.
    pub fn add(&mut self, at: PacketRef, stream: u32) {
        self.count += 1;
        self.first.get_or_insert((at, stream));
    }
}

/// TLS connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsTotals {
    /// Connections on which a TLS handshake or record was seen at the start.
    pub connections: u64,
    /// Those that could be decrypted.
    pub decrypted: u64,
    /// Those of which the capture lacks the beginning, and that no key at hand opened.
    pub headless: u64,
    /// Those that stayed closed though their beginning was captured, by the reason.
    pub closed: BTreeMap<Undecrypted, Tally>,
    /// Private keys of servers that were given.
    pub private_keys: u64,
    /// Those without a key that no private key opens: they don't use RSA key exchange.
    pub not_rsa: u64,
    /// Those without a key that use it, with the certificate of another private key.
    pub foreign_private_key: u64,
}

impl TlsTotals {
    /// The connections of which records stayed closed, by the reason.
    pub fn undecrypted(&self) -> BTreeMap<Undecrypted, Tally> {
        let mut closed = self.closed.clone();
        if self.headless > 0 {
            let tally = closed.entry(Undecrypted::NoClientHello).or_default();
            tally.count = tally.count.saturating_add(self.headless);
        }
        closed
    }
}

/// Failed connections of one client host to one server port, beyond those that are kept one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoreAttempts {
    /// The client's host.
    pub client: IpAddr,
    /// What it dialled.
    pub server: SocketAddr,
    /// How many more.
    pub count: u64,
}

/// One of those: when, and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialled {
    /// The client's host.
    pub client: IpAddr,
    /// What it dialled.
    pub server: SocketAddr,
    /// The first packet.
    pub first: PacketRef,
    /// The newest packet.
    pub last: PacketRef,
    /// Nobody took the connection.
    pub never_opened: bool,
    /// Somebody answered, if only to refuse it.
    pub answered: bool,
}

/// All that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// The files, in the order given.
    pub files: Vec<CaptureFile>,
    /// Packets of all of them, without those that a filter left out.
    pub packets: u64,
    /// What a filter left out, if there was one.
    pub filter: Option<Filtered>,
    /// TCP segments among them.
    pub tcp_segments: u64,
    /// TCP connections.
    pub tcp_connections: u64,
    /// Packets that gave nothing, by reason, the most frequent first.
    pub not_decoded: Vec<(&'static str, u64)>,
    /// Missing bytes, by cause.
    pub gaps: Vec<GapTotal>,
    /// The first gap of bytes that the peer acknowledged on a connection of
    /// which both directions were captured, and its connection.
    pub first_gap: Option<(PacketRef, u32)>,
    /// Connections of which one side's packets are missing altogether,
    /// although the other side acknowledges payload of it; by the missing side.
    pub unheard: Sides<Tally>,
    /// Gaps of such sides, and their bytes. They are in `gaps` too.
    pub unheard_gaps: (u64, u64),
    /// Gaps of bytes that nobody acknowledged before the capture, or the connection, ended, and
    /// their bytes: lost on the network, or not captured. They are in `gaps` too.
    pub unresolved_gaps: (u64, u64),
    /// Connections that were open before the capture began, and whose first
    /// bytes are no handshake of HTTP or TLS.
    pub mid_stream: Tally,
    /// Those of them of which more came than is searched for frames byte by byte.
    pub mid_stream_skimmed: u64,
    /// Packets that were captured twice.
    pub duplicates: u64,
    /// The first of them, and its connection.
    pub first_duplicate: Option<(PacketRef, u32)>,
    /// Connections that were captured on both sides of an address translation: the first 16.
    pub translated: Vec<SameAs>,
    /// All of them.
    pub translated_count: u64,
    /// Of those whose first copy is known: how many, and the nanoseconds between the two, summed.
    pub copies_apart: (u64, u64),
    /// The first packet that the snap length cut.
    pub first_cut: Option<(PacketRef, u32)>,
    /// How many packets it cut.
    pub cut: u64,
    /// Packets that the capturing machine says it dropped.
    pub dropped: u64,
    /// Secrets blocks with a key log in them.
    pub key_logs: u64,
    /// TLS.
    pub tls: TlsTotals,
    /// Connections that were opened and on which nobody said a word.
    pub wordless: u64,
    /// Connections that nobody took: a SYN, but no SYN-ACK.
    pub never_opened: u64,
    /// The first ClientHello or TLS record, and its connection.
    pub first_tls: Option<(PacketRef, u32)>,
    /// The server's ports on those connections: the first 16.
    pub tls_ports: Vec<u16>,
    /// Ordinary HTTP exchanges.
    pub http_exchanges: u64,
    /// Servers to which connections begin with a PROXY protocol header: the first 16.
    pub proxied_servers: Vec<SocketAddr>,
    /// Tunnels through proxies.
    pub tunnels: super::OpenedTunnels,
    /// Connections that began with the HTTP/2 preface.
    pub http2_connections: u64,
    /// What the clocks did.
    pub clocks: Clocks,
    /// Failed connections that are only counted: of hosts that fail again and again.
    pub more_attempts: Vec<MoreAttempts>,
    /// When those were made: the first 65,536.
    pub dialled: Vec<Dialled>,
    /// Failed connections that are in no count by host: there are too many hosts.
    pub attempts_beyond: u64,
    /// Connections let go to stay within the limits.
    pub evicted: u64,
    /// Hosts that were heard: they exist and a path from them to the capture point does.
    pub heard: Vec<IpAddr>,
    /// The newest packet.
    pub last: PacketRef,
    /// The stack of one connection failed and was dropped: how often. Never, if we have no bugs.
    pub failures: u64,
}

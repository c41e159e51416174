//! One packet's bytes: Ethernet, IPv4, TCP with a timestamps option, and
//! checksums that hold.

/// One end of a connection, down to its Ethernet address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint {
    pub(crate) mac: [u8; 6],
    pub(crate) ip: [u8; 4],
    pub(crate) port: u16,
}

/// TCP's control bits (RFC 9293, section 3.1).
pub(crate) mod flags {
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const RST: u8 = 0x04;
    pub(crate) const PSH: u8 = 0x08;
    pub(crate) const ACK: u8 = 0x10;
}

/// What one TCP packet says.
pub(crate) struct Packet<'a> {
    pub(crate) from: Endpoint,
    pub(crate) to: Endpoint,
    pub(crate) ip_id: u16,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) window: u16,
    /// TCP options, padded to a multiple of 4 bytes.
    pub(crate) options: &'a [u8],
    pub(crate) payload: &'a [u8],
}

/// TCP's protocol number in an IP header.
const TCP: u8 = 6;

impl Packet<'_> {
    /// Appends the whole packet, from the Ethernet header on, to `out`.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let tcp_len = length(20 + self.options.len() + self.payload.len());
        out.extend_from_slice(&self.to.mac);
        out.extend_from_slice(&self.from.mac);
        out.extend_from_slice(&[0x08, 0x00]);
        out.extend_from_slice(&self.ip_header(tcp_len));
        out.extend_from_slice(&self.tcp_header(tcp_len));
        out.extend_from_slice(self.options);
        out.extend_from_slice(self.payload);
    }

    fn ip_header(&self, tcp_len: u16) -> [u8; 20] {
        let mut header = [0; 20];
        header[0] = 0x45;
        header[2..4].copy_from_slice(&tcp_len.saturating_add(20).to_be_bytes());
        header[4..6].copy_from_slice(&self.ip_id.to_be_bytes());
        header[6] = 0x40; // don't fragment
        header[8] = 64; // time to live
        header[9] = TCP;
        header[12..16].copy_from_slice(&self.from.ip);
        header[16..20].copy_from_slice(&self.to.ip);
        let checksum = fold(sum(&header));
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        header
    }

    fn tcp_header(&self, tcp_len: u16) -> [u8; 20] {
        let mut header = [0; 20];
        header[0..2].copy_from_slice(&self.from.port.to_be_bytes());
        header[2..4].copy_from_slice(&self.to.port.to_be_bytes());
        header[4..8].copy_from_slice(&self.seq.to_be_bytes());
        header[8..12].copy_from_slice(&self.ack.to_be_bytes());
        let words = u8::try_from((20 + self.options.len()) / 4).unwrap_or(15);
        header[12] = words << 4;
        header[13] = self.flags;
        header[14..16].copy_from_slice(&self.window.to_be_bytes());
        // RFC 9293, section 3.1: the checksum also covers addresses, protocol and length.
        let pseudo = sum(&self.from.ip) + sum(&self.to.ip) + u64::from(TCP) + u64::from(tcp_len);
        let total = pseudo + sum(&header) + sum(self.options) + sum(self.payload);
        header[16..18].copy_from_slice(&fold(total).to_be_bytes());
        header
    }
}

fn length(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

/// The sum of `bytes` as big-endian 16-bit words, not yet folded. Words of 32
/// bits give the same once folded, in half the steps.
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let whole: u64 = words
        .iter()
        .map(|word| u64::from(u32::from_be_bytes(*word)))
        .sum();
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    whole + u64::from(u32::from_be_bytes(last))
}

/// RFC 1071: fold the carries back in, then complement.
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

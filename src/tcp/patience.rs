//! How long, and with how many bytes, missing ones are waited for.

/// How much may be held, and for how long, while earlier bytes are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Bytes held per direction before the first hole is given up.
    pub bytes: usize,
    /// How long a hole that the peer has acknowledged may stay open, in
    /// nanoseconds: only a capture that is out of order still fills it.
    pub acked_nanos: u64,
    /// The same, counted in segments of the connection.
    pub acked_segments: u32,
    /// How long a hole may stay open where no acknowledgment can be seen,
    /// because the capture has one direction only.
    pub one_way_nanos: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            // Rationale: the largest receive windows in the field are a few MiB.
            bytes: 4 << 20,
            // Rationale: several interfaces or capture threads put packets out
            // of order by milliseconds; after an acknowledgment nothing is sent again.
            acked_nanos: 1_000_000_000,
            acked_segments: 64,
            // Rationale: a few retransmission timeouts (RFC 6298: 1 s at first).
            one_way_nanos: 5_000_000_000,
        }
    }
}

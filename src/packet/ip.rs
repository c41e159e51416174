//! IPv4 and IPv6.

//! Community ID: the same short name for a connection in all tools that have it
//! (Corelight's specification, version 1), so that a finding here leads to a
//! line in a Zeek or Suricata log.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

/// IANA's number of TCP.
const TCP: u8 = 6;

/// The id of a TCP connection, with the seed that everybody uses: 0.
pub(super) fn id(one: SocketAddr, other: SocketAddr) -> String {
    let (low, high) = if order(one) <= order(other) {
        (one, other)
    } else {
        (other, one)
    };
    let mut hash = Sha1::new();
    hash.update(0_u16.to_be_bytes());
    hash.update(octets(low));
    hash.update(octets(high));
    hash.update([TCP, 0]);
    hash.update(low.port().to_be_bytes());
    hash.update(high.port().to_be_bytes());
    format!("1:{}", STANDARD.encode(hash.finalize()))
}

fn order(endpoint: SocketAddr) -> (Vec<u8>, u16) {
    (octets(endpoint), endpoint.port())
}

fn octets(endpoint: SocketAddr) -> Vec<u8> {
    match endpoint.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::id;

    #[test]
    fn both_directions_have_the_id_of_the_specification_s_example() {
        let (client, server) = ("128.232.110.120:34855", "66.35.250.204:80");
        let (client, server) = (client.parse().unwrap(), server.parse().unwrap());
        assert_eq!(id(client, server), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        assert_eq!(id(server, client), id(client, server));
    }
}

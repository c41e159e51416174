//! What a value is compared with: a glob, an address, a network.

use std::net::{IpAddr, SocketAddr};

use glob::MatchOptions;

/// Whether capital letters are other letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// As in a path.
    Matters,
    /// As in a host's name.
    Ignored,
}

/// A glob (`*`, `?`, `[a-z]`, `[!a-z]`) that a whole value must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(glob::Pattern);

impl Pattern {
    /// Reads a glob. `*` stands for any characters, a slash among them.
    ///
    /// # Errors
    /// A bracket that isn't closed; `[[]` stands for a bracket itself.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let mut simple = text.to_owned();
        // The library's `**` is about directories, which there are none of here.
        while simple.contains("**") {
            simple = simple.replace("**", "*");
        }
        glob::Pattern::new(&simple)
            .map(Self)
            .map_err(|error| format!("{}, near character {}", error.msg, error.pos))
    }

    /// The whole of `value` matches.
    pub(super) fn matches(&self, value: &str, case: Case) -> bool {
        let options = MatchOptions {
            case_sensitive: case == Case::Matters,
            require_literal_separator: false,
            require_literal_leading_dot: false,
        };
        self.0.matches_with(value, options)
    }
}

/// Hosts or endpoints: `10.1.2.3`, `10.1.2.3:443`, `10.0.0.0/8`, `[2001:db8::1]:443`, or a glob such as `10.1.*:443`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A host, whatever the port.
    Host(IpAddr),
    /// A host and a port.
    Endpoint(SocketAddr),
    /// All hosts that begin with as many bits of this one.
    Network(IpAddr, u32),
    /// Whatever looks like this, with the port or without it.
    Glob(Pattern),
}

impl Address {
    /// Reads any of the forms.
    ///
    /// # Errors
    /// A network's length is too long for its address, or the glob is none.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        if let Some(host) = host(text) {
            return Ok(Self::Host(host));
        }
        if let Ok(endpoint) = text.parse() {
            return Ok(Self::Endpoint(endpoint));
        }
        if let Some((network, bits)) = text.split_once('/') {
            let network = host(network).ok_or_else(|| format!("`{network}` is no address"))?;
            let most = if network.is_ipv4() { 32 } else { 128 };
            return match bits.parse() {
                Ok(bits) if bits <= most => Ok(Self::Network(network, bits)),
                _ => Err(format!(
                    "`/{bits}` is no length of a network; from /0 to /{most}"
                )),
            };
        }
        Pattern::new(text).map(Self::Glob)
    }

    /// This endpoint is among those that are meant.
    pub(super) fn matches(&self, endpoint: SocketAddr) -> bool {
        self.matches_host(endpoint.ip())
            || match self {
                Self::Endpoint(own) => *own == endpoint,
                Self::Glob(glob) => glob.matches(&endpoint.to_string(), Case::Ignored),
                Self::Host(_) | Self::Network(..) => false,
            }
    }

    /// The same for a word that should be a host or an endpoint, as in X-Forwarded-For.
    pub(super) fn matches_text(&self, text: &str) -> bool {
        let glob = matches!(self, Self::Glob(glob) if glob.matches(text, Case::Ignored));
        glob || text.parse().is_ok_and(|endpoint| self.matches(endpoint))
            || host(text).is_some_and(|host| self.matches_host(host))
    }

    fn matches_host(&self, host: IpAddr) -> bool {
        match self {
            Self::Host(own) => *own == host,
            Self::Network(network, bits) => network_of(*network, *bits) == network_of(host, *bits),
            Self::Glob(glob) => glob.matches(&host.to_string(), Case::Ignored),
            Self::Endpoint(_) => false,
        }
    }
}

/// An address, with the brackets of a URL or without.
fn host(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    bare.unwrap_or(text).parse().ok()
}

/// The first bits, and of which family they are.
fn network_of(host: IpAddr, bits: u32) -> (bool, u128) {
    let (value, width) = match host {
        IpAddr::V4(host) => (u128::from(host.to_bits()), 32_u32),
        IpAddr::V6(host) => (host.to_bits(), 128),
    };
    let rest = width.saturating_sub(bits);
    (host.is_ipv4(), value.checked_shr(rest).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(address: &str, endpoint: &str) -> bool {
        let endpoint = endpoint.parse().expect("an endpoint");
        Address::new(address).expect("an address").matches(endpoint)
    }

    #[test]
    fn a_star_crosses_slashes_and_the_whole_value_must_match() {
        let glob = Pattern::new("/chat/**[0-9]").expect("a glob");
        assert!(glob.matches("/chat/eu/room/7", Case::Matters));
        assert!(!glob.matches("/chat/eu/room/7/", Case::Matters));
        assert!(!glob.matches("/CHAT/7", Case::Matters));
        assert!(glob.matches("/CHAT/7", Case::Ignored));
    }

    #[test]
    fn a_bracket_that_is_not_closed_is_refused() {
        assert!(Pattern::new("/chat[").is_err());
    }

    #[test]
    fn an_address_may_be_a_host_an_endpoint_a_network_or_a_glob() {
        let yes = [
            ("10.1.2.3", "10.1.2.3:443"),
            ("10.1.2.3:443", "10.1.2.3:443"),
            ("10.0.0.0/8", "10.1.2.3:443"),
            ("0.0.0.0/0", "10.1.2.3:443"),
            ("10.1.*", "10.1.2.3:443"),
            ("*:443", "10.1.2.3:443"),
            ("2001:db8::1", "[2001:db8::1]:443"),
            ("[2001:db8::1]", "[2001:db8::1]:443"),
            ("[2001:db8::1]:443", "[2001:db8::1]:443"),
            ("2001:db8::/32", "[2001:db8:7::1]:443"),
            ("::/0", "[2001:db8:7::1]:443"),
        ];
        for (address, endpoint) in yes {
            assert!(matches(address, endpoint), "{address} {endpoint}");
        }
        let no = [
            ("10.1.2.3", "10.1.2.30:443"),
            ("10.1.2.3:443", "10.1.2.3:4433"),
            ("10.0.0.0/8", "11.1.2.3:443"),
            ("10.1.2", "10.1.2.3:443"),
            ("0.0.0.0/0", "[::1]:443"),
            ("::/0", "10.1.2.3:443"),
        ];
        for (address, endpoint) in no {
            assert!(!matches(address, endpoint), "{address} {endpoint}");
        }
    }

    #[test]
    fn a_network_that_is_too_long_is_refused() {
        assert!(Address::new("10.0.0.0/33").is_err());
        assert!(Address::new("chat.example/8").is_err());
    }

    #[test]
    fn what_a_proxy_wrote_is_an_address_or_a_word() {
        let network = Address::new("198.51.100.0/24").expect("a network");
        assert!(network.matches_text("198.51.100.7"));
        assert!(network.matches_text("198.51.100.7:5000"));
        assert!(!network.matches_text("unknown"));
        let word = Address::new("unk*").expect("a glob");
        assert!(word.matches_text("unknown"));
    }
}

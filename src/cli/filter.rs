//! `--filter`: BPF expressions on files, compiled by libpcap.

use anyhow::Result;
#[cfg(not(feature = "live"))]
use anyhow::bail;

use crate::session::Filtered;
use crate::source::Packet;

/// A compiled expression, once per link type, and what it did so far.
#[cfg(feature = "live")]
pub(super) struct Filter {
    programs: Vec<(u16, Program)>,
    told: Filtered,
    /// What libpcap said of a link type on which it can't answer.
    refusal: Option<(u16, String)>,
}

#[cfg(feature = "live")]
enum Program {
    Compiled(pcap::BpfProgram),
    /// No packet can match, and libpcap knows it.
    Nothing,
    /// The expression asks for what libpcap doesn't find in such packets.
    Refused,
}

#[cfg(feature = "live")]
impl Filter {
    /// Tells at once whether `expression` is one on any link type: `wlan type mgt`
    /// is none on Ethernet, and `vlan` none on raw IP.
    ///
    /// # Errors
    /// What libpcap says of it on Ethernet.
    pub(super) fn compile(expression: &str) -> Result<Self> {
        // Ethernet, raw IP, Linux cooked, 802.11, the same with radiotap, OpenBSD's pflog.
        const TYPICAL: [u16; 6] = [1, 101, 113, 105, 127, 117];
        let mut refusal = None;
        for link in TYPICAL {
            match compiled(expression, link) {
                Ok(_) => {
                    return Ok(Self {
                        programs: Vec::new(),
                        told: Filtered {
                            expression: expression.to_owned(),
                            ..Filtered::default()
                        },
                        refusal: None,
                    });
                }
                Err(told) => refusal = refusal.or(Some(told)),
            }
        }
        let told = refusal.unwrap_or_default();
        Err(anyhow::anyhow!(
            "--filter '{expression}': {told}; `man 7 pcap-filter` has the words and examples"
        ))
    }

    fn program(&mut self, link: u16) -> Option<&Program> {
        let known = self.programs.iter().position(|(known, _)| *known == link);
        let index = match known {
            Some(index) => index,
            None => {
                let program = compiled(&self.told.expression, link).unwrap_or_else(|told| {
                    self.refusal.get_or_insert((link, told));
                    Program::Refused
                });
                self.programs.push((link, program));
                self.programs.len().saturating_sub(1)
            }
        };
        self.programs.get(index).map(|(_, program)| program)
    }

    /// Whether this packet is to be read. Lengths that the expression asks for
    /// (`len`, `greater`) are those captured.
    pub(super) fn matches(&mut self, packet: &Packet<'_>) -> bool {
        let refused = match self.program(packet.link.0) {
            Some(Program::Compiled(program)) if program.filter(packet.bytes) => {
                self.told.matched = self.told.matched.saturating_add(1);
                return true;
            }
            Some(Program::Compiled(_) | Program::Nothing) => false,
            Some(Program::Refused) | None => true,
        };
        count_left_out(&mut self.told, packet, refused);
        false
    }

    /// What it did.
    ///
    /// # Errors
    /// Of no packet could it say anything.
    pub(super) fn outcome(self) -> Result<Filtered> {
        let told = self.told;
        if let Some((link, refusal)) = self.refusal
            && told.matched == 0
            && told.not_filterable == told.left_out
        {
            return Err(anyhow::anyhow!(
                "--filter '{}': not on packets of link type {link}: {refusal}; choose with --where client=... or server=... instead",
                told.expression
            ));
        }
        Ok(told)
    }
}

#[cfg(feature = "live")]
fn compiled(expression: &str, link: u16) -> Result<Program, String> {
    // Files number some link types otherwise than libpcap does in memory.
    let in_memory = match link {
        14 | 101 => 12, // raw IP
        100 => 11,      // RFC 1483 over ATM
        102 => 15,      // SLIP of BSD/OS
        103 => 16,      // PPP of BSD/OS
        106 => 19,      // IP over ATM
        other => i32::from(other),
    };
    let handle = pcap::Capture::dead(pcap::Linktype(in_memory));
    match handle.and_then(|handle| handle.compile(expression, true)) {
        Ok(program) => Ok(Program::Compiled(program)),
        Err(pcap::Error::PcapError(told)) if told.contains("rejects all packets") => {
            Ok(Program::Nothing)
        }
        Err(pcap::Error::PcapError(told)) => Err(told),
        Err(other) => Err(other.to_string()),
    }
}

/// Counts a packet that is left out, and whether it is of a kind that people miss.
#[cfg(feature = "live")]
fn count_left_out(told: &mut Filtered, packet: &Packet<'_>, refused: bool) {
    told.left_out = told.left_out.saturating_add(1);
    if refused {
        told.not_filterable = told.not_filterable.saturating_add(1);
        return;
    }
    let (ether_type, payload) = match packet.link.0 {
        1 => (12, 14),
        113 => (14, 16),
        276 => (0, 20),
        _ => return,
    };
    let word = |at: usize| {
        let bytes = packet.bytes.get(at..)?.first_chunk::<2>()?;
        Some(u16::from_be_bytes(*bytes))
    };
    match word(ether_type) {
        // 802.1Q, 802.1ad, and what came before that.
        Some(0x8100 | 0x88a8 | 0x9100) => told.tagged = told.tagged.saturating_add(1),
        Some(0x0800) => {
            // RFC 791: the fragment's offset, and the protocol.
            let later = word(payload + 6).is_some_and(|flags| flags & 0x1fff != 0);
            if later && packet.bytes.get(payload + 9) == Some(&6) {
                told.fragments = told.fragments.saturating_add(1);
            }
        }
        _ => {}
    }
}

/// Without libpcap nobody compiles expressions.
#[cfg(not(feature = "live"))]
pub(super) struct Filter;

#[cfg(not(feature = "live"))]
impl Filter {
    pub(super) fn compile(expression: &str) -> Result<Self> {
        bail!(
            "--filter '{expression}': this build has no libpcap; build with the feature `live`, or run tcpdump -r FILE -w OUT '{expression}' first"
        )
    }

    pub(super) fn matches(&mut self, _: &Packet<'_>) -> bool {
        true
    }

    pub(super) fn outcome(self) -> Result<Filtered> {
        Ok(Filtered::default())
    }
}

#[cfg(all(test, feature = "live"))]
mod tests {
    use super::*;
    use crate::source::LinkType;
    use crate::stream::PacketRef;

    fn packet(link: u16, bytes: &[u8]) -> Packet<'_> {
        Packet {
            at: PacketRef::default(),
            link: LinkType(link),
            wire_len: u32::try_from(bytes.len()).expect("small"),
            bytes,
        }
    }

    /// An IPv4 packet of TCP from port 8080.
    fn ip(fragment_offset: u16) -> Vec<u8> {
        let [high, low] = fragment_offset.to_be_bytes();
        let mut ip = vec![0x45, 0, 0, 40, 0, 0, high, low];
        ip.extend([64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        ip.extend([
            0x1f, 0x90, 0x9c, 0x41, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0,
        ]);
        ip
    }

    fn ethernet(types: &[u8], ip: &[u8]) -> Vec<u8> {
        [&[2; 12], types, ip].concat()
    }

    #[test]
    fn raw_ip_has_three_numbers_in_files() {
        let mut filter = Filter::compile("tcp port 8080").expect("an expression");
        for link in [12, 14, 101, 228] {
            assert!(filter.matches(&packet(link, &ip(0))), "{link}");
        }
    }

    #[test]
    fn a_mistake_is_told_at_once() {
        let told = Filter::compile("tcp prot 80").err().expect("a mistake");
        let told = told.to_string();
        assert!(told.starts_with("--filter 'tcp prot 80': "), "{told}");
        assert!(told.contains("syntax error"), "{told}");
        assert!(!told.contains('\n'), "{told}");
        assert!(Filter::compile("host \0").is_err());
    }

    #[test]
    fn an_expression_of_another_link_type_than_ethernet_is_one() {
        assert!(Filter::compile("type mgt").is_ok());
    }

    #[test]
    fn tags_and_fragments_that_are_left_out_are_told() {
        let mut filter = Filter::compile("tcp port 8080").expect("an expression");
        let plain = ethernet(&[8, 0], &ip(0));
        let tagged = ethernet(&[0x81, 0, 0, 5, 8, 0], &ip(0));
        let fragment = ethernet(&[8, 0], &ip(185));
        assert!(filter.matches(&packet(1, &plain)));
        assert!(!filter.matches(&packet(1, &tagged)));
        assert!(!filter.matches(&packet(1, &fragment)));
        assert!(!filter.matches(&packet(1, b"cut")));
        let told = filter.outcome().expect("it could be answered");
        assert_eq!(
            told,
            Filtered {
                expression: "tcp port 8080".to_owned(),
                matched: 1,
                left_out: 3,
                tagged: 1,
                fragments: 1,
                not_filterable: 0,
            }
        );
        assert_eq!(told.hints().len(), 2);
    }

    #[test]
    fn a_link_type_that_cannot_be_asked_is_told() {
        let mut filter = Filter::compile("tcp port 8080").expect("an expression");
        // NFLOG.
        assert!(!filter.matches(&packet(239, &ip(0))));
        let told = filter.outcome().expect_err("nothing could be answered");
        assert!(told.to_string().contains("link type 239"), "{told}");
    }
}

//! `--filter`: BPF expressions on files, compiled by libpcap.

use anyhow::{Result, bail};

use crate::source::Packet;

/// A compiled expression, once per link type.
#[cfg(feature = "live")]
pub(super) struct Filter {
    expression: String,
    programs: Vec<(u16, pcap::BpfProgram)>,
}

#[cfg(feature = "live")]
impl Filter {
    /// Compiles `expression` for Ethernet, to tell at once whether it is one.
    pub(super) fn compile(expression: &str) -> Result<Self> {
        let mut filter = Self {
            expression: expression.to_owned(),
            programs: Vec::new(),
        };
        filter.program(1)?;
        Ok(filter)
    }

    fn program(&mut self, link: u16) -> Result<usize> {
        if let Some(index) = self.programs.iter().position(|(known, _)| *known == link) {
            return Ok(index);
        }
        // Files number raw IP otherwise than libpcap does in memory (DLT_RAW).
        let in_memory = match link {
            14 | 101 => 12,
            other => i32::from(other),
        };
        let compiled = pcap::Capture::dead(pcap::Linktype(in_memory))
            .and_then(|capture| capture.compile(&self.expression, true));
        match compiled {
            Ok(program) => self.programs.push((link, program)),
            Err(error) => bail!(
                "--filter '{}': {error}; see man 7 pcap-filter",
                self.expression
            ),
        }
        Ok(self.programs.len() - 1)
    }

    pub(super) fn matches(&mut self, packet: &Packet<'_>) -> Result<bool> {
        let index = self.program(packet.link.0)?;
        Ok(self
            .programs
            .get(index)
            .is_some_and(|(_, program)| program.filter(packet.bytes)))
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

    pub(super) fn matches(&mut self, _: &Packet<'_>) -> Result<bool> {
        Ok(true)
    }
}

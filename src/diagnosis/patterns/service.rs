//! Which service a try is for: servers of the same name are one.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::session::Session;

/// The numbers of services, by host name or by address.
pub(super) struct Services {
    numbers: HashMap<String, u32>,
    /// The service that a server is known to hold, if it is one.
    held: HashMap<SocketAddr, Option<u32>>,
}

impl Services {
    /// Those of these sessions.
    pub(super) fn of(sessions: &[Session]) -> Self {
        let mut services = Self {
            numbers: HashMap::new(),
            held: HashMap::new(),
        };
        for session in sessions {
            let number = services.of_session(session);
            let held = services
                .held
                .entry(session.leg.server)
                .or_insert(Some(number));
            if *held != Some(number) {
                *held = None;
            }
        }
        services
    }

    fn number(&mut self, name: String) -> u32 {
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(name).or_insert(next)
    }

    /// That of a session: by its Host, the name in its ClientHello, or its address.
    pub(super) fn of_session(&mut self, session: &Session) -> u32 {
        let hello = session.leg.tls.as_deref();
        let hello = hello.and_then(|tls| tls.client_hello.as_ref());
        let asked = hello.and_then(|(hello, _)| hello.server_name.clone());
        let name = session
            .handshake
            .host()
            .map(str::to_ascii_lowercase)
            .or(asked);
        let name = name.unwrap_or_else(|| session.leg.server.to_string());
        self.number(name)
    }

    /// That of a server that nobody told anything; `None` where nothing ties it to WebSocket.
    pub(super) fn of_server(&mut self, server: SocketAddr, alone: bool) -> Option<u32> {
        match self.held.get(&server) {
            Some(Some(number)) => Some(*number),
            Some(None) => Some(self.number(server.to_string())),
            None if alone => Some(self.number(server.to_string())),
            None => None,
        }
    }
}

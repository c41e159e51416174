//! What the handshake messages settle.

use super::connection::Connection;
use super::half::Protection;
use super::handshake::kind;
use super::hello::{self, ClientHello, ServerHello};
use super::keys::Keys;
use super::parameters::{Answer, EarlyData, Parameters, ticket_id};
use super::reader::Arrival;
use super::suite;
use super::{Event, Output};
use crate::stream::{Direction, PacketRef, Secret};

impl Connection {
    /// The content of a handshake record.
    pub(super) fn on_handshake(
        &mut self,
        direction: Direction,
        content: &[u8],
        arrival: Arrival,
        keys: &Keys,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let half = &mut self.halves[direction];
        half.messages.push(content);
        while let Some((kind, message)) = self.halves[direction].messages.next() {
            self.on_message(direction, kind, &message, arrival.seen, keys, out);
        }
    }

    fn on_message(
        &mut self,
        direction: Direction,
        kind: u8,
        message: &[u8],
        at: PacketRef,
        keys: &Keys,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let body = message.get(4..).unwrap_or_default();
        let tls13 = self.parameters.version == Some(0x0304);
        if kind == kind::CLIENT_HELLO {
            self.parameters.transcript.clear();
        }
        if !tls13 && kind != kind::HELLO_REQUEST {
            self.parameters.record(message);
        }
        if direction == Direction::ServerToClient && kind != kind::NEW_SESSION_TICKET {
            self.parameters.answer = Answer::More;
        }
        match kind {
            kind::CLIENT_HELLO => {
                if let Some(hello) = ClientHello::parse(body) {
                    self.on_client_hello(hello, at, out);
                    let ticket = hello::shown_ticket(body).map(ticket_id);
                    self.parameters.ticket = ticket.unwrap_or_default();
                }
            }
            kind::SERVER_HELLO => {
                if let Some(hello) = ServerHello::parse(body) {
                    self.on_server_hello(hello, at, keys, out);
                    // Records of the client that the capture has before it; early data waits on.
                    if self.parameters.early_data != EarlyData::Offered {
                        self.replay(Direction::ClientToServer, keys, out);
                    }
                }
            }
            kind::ENCRYPTED_EXTENSIONS if tls13 => {
                let (alpn, early) = hello::encrypted_extensions(body);
                if let Some(alpn) = alpn {
                    out(Output::Fact(Event::Protocol { alpn, at }));
                }
                if self.parameters.early_data == EarlyData::Offered {
                    self.parameters.early_data = if early {
                        EarlyData::Accepted
                    } else {
                        EarlyData::Refused
                    };
                    self.replay(Direction::ClientToServer, keys, out);
                }
            }
            kind::CERTIFICATE => {
                let chain = hello::certificates(body, tls13);
                let of_server = direction == Direction::ServerToClient;
                if of_server && !tls13 && keys.has_private_keys() {
                    self.parameters.public_key = hello::public_key(body);
                }
                out(Output::Fact(Event::Certificate {
                    direction,
                    chain,
                    at,
                }));
            }
            kind::CERTIFICATE_REQUEST => out(Output::Fact(Event::CertificateRequest { at })),
            kind::CLIENT_KEY_EXCHANGE if !tls13 => {
                self.parameters.on_key_exchange(body, keys);
                if self.parameters.is_for_another(keys) {
                    out(Output::Fact(Event::ForeignPrivateKey { at }));
                }
                let session = self.parameters.session.clone();
                self.learn(session, keys);
            }
            kind::NEW_SESSION_TICKET if !tls13 => {
                if let Some(ticket) = hello::new_ticket(body) {
                    self.learn(ticket_id(ticket), keys);
                }
            }
            kind::FINISHED => out(Output::Fact(Event::Finished { direction, at })),
            kind::KEY_UPDATE if tls13 => {
                self.halves[direction].update_keys();
                out(Output::Fact(Event::KeyUpdate { direction, at }));
            }
            _ => {}
        }
    }

    /// Keeps the master secret of a session for connections that resume it,
    /// where only this handshake tells it.
    fn learn(&mut self, id: Vec<u8>, keys: &Keys) {
        if id.is_empty() || self.parameters.exchange.is_none() {
            return;
        }
        if let Some(master) = self.parameters.master(keys) {
            self.learned.push(Secret::OfSession { id, master });
        }
    }

    fn on_client_hello(
        &mut self,
        hello: ClientHello,
        at: PacketRef,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let parameters = &mut self.parameters;
        // After a HelloRetryRequest the same random comes again; in a renegotiation a new one.
        if parameters.client_random != Some(hello.random) {
            let transcript = std::mem::take(&mut parameters.transcript);
            *parameters = Parameters {
                transcript,
                ..Parameters::default()
            };
        }
        parameters.client_random = Some(hello.random);
        parameters.offered_session.clone_from(&hello.session_id);
        parameters.early_data = match (hello.early_data, parameters.early_data) {
            (true, _) => EarlyData::Offered,
            (false, EarlyData::Refused) => EarlyData::Refused,
            (false, _) => EarlyData::NotOffered,
        };
        out(Output::Fact(Event::ClientHello {
            hello: Box::new(hello),
            at,
        }));
    }

    fn on_server_hello(
        &mut self,
        hello: ServerHello,
        at: PacketRef,
        keys: &Keys,
        out: &mut impl FnMut(Output<'_>),
    ) {
        if hello.is_retry() {
            out(Output::Fact(Event::HelloRetryRequest { at }));
            // RFC 8446, section 4.1.2: early data is refused with it; the next ClientHello waits behind.
            if self.parameters.early_data == EarlyData::Offered {
                self.parameters.early_data = EarlyData::Refused;
                self.replay(Direction::ClientToServer, keys, out);
            }
            return;
        }
        let parameters = &mut self.parameters;
        let tls13 = hello.version == 0x0304;
        parameters.server_random = Some(hello.random);
        parameters.version = Some(hello.version);
        parameters.suite = suite::by_id(hello.suite).filter(|suite| {
            let of_tls13 = (0x1301..=0x1305).contains(&suite.id);
            of_tls13 == tls13 && hello.version >= 0x0301
        });
        parameters.encrypt_then_mac = hello.encrypt_then_mac;
        parameters.extended_master_secret = hello.extended_master_secret;
        parameters.session.clone_from(&hello.session_id);
        let same_session =
            !hello.session_id.is_empty() && hello.session_id == parameters.offered_session;
        parameters.answer = match tls13 || same_session {
            true => Answer::More,
            false => Answer::Nothing,
        };
        let resumed = if tls13 {
            hello.pre_shared_key
        } else {
            same_session
        };
        if tls13 {
            parameters.transcript = Vec::new();
            for direction in Direction::BOTH {
                let half = &mut self.halves[direction];
                let missed = half.missed;
                if matches!(half.protection, Protection::None) {
                    half.protect(Protection::Epochs(None));
                    half.missed = missed;
                }
            }
        }
        let (suite, alpn) = (suite::name_of(hello.suite), hello.alpn.clone());
        out(Output::Fact(Event::ServerHello {
            hello: Box::new(hello),
            suite,
            resumed,
            at,
        }));
        if let Some(alpn) = alpn {
            out(Output::Fact(Event::Protocol { alpn, at }));
        }
    }
}

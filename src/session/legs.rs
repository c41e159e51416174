//! Finds the legs of a proxy: sessions that are one WebSocket, seen on each of its TCP connections.
//!
//! Only what is proven is joined; where two sessions fit equally well, neither is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::signs::{alike, began, meets, named, names, names_exactly};
use super::story::{Joined, Proof, Story, StoryLeg};
use super::{Leg, Session, signs};
use crate::stream::PacketRef;

/// Rationale: clocks of machines that are captured on purpose are this close at worst.
const SKEW: Duration = Duration::from_secs(10);
/// Rationale: where so many handshakes were open at once, a match proves nothing.
const MOST_CANDIDATES: usize = 64;

/// Joins the legs among all sessions of a capture, whatever their order.
pub fn join_legs(sessions: &mut [&mut Session]) {
    sessions.sort_by_key(|session| session.id);
    let chains = {
        let shared: Vec<&Session> = sessions.iter().map(|session| &**session).collect();
        let mut links = Links::new(shared.len());
        link_by_key(&shared, &mut links);
        link_by_signs(&shared, &mut links);
        links.chains()
    };
    for (number, (chain, proof)) in (1..).zip(chains) {
        let legs = chain
            .iter()
            .filter_map(|index| sessions.get(*index))
            .map(|session| StoryLeg::of(session))
            .collect();
        let story = Arc::new(Story {
            number,
            proof,
            legs,
        });
        for (place, index) in chain.into_iter().enumerate() {
            if let Some(session) = sessions.get_mut(index) {
                let story = Arc::clone(&story);
                session.joined = Some(Joined { story, place });
            }
        }
    }
}

/// Which session passes on which, by their indices.
struct Links {
    front: Vec<Option<usize>>,
    back: Vec<Option<(usize, Proof)>>,
}

impl Links {
    fn new(count: usize) -> Self {
        Self {
            front: vec![None; count],
            back: vec![None; count],
        }
    }

    fn add(&mut self, front: usize, back: usize, proof: Proof) {
        if self.has_back(front) || self.has_front(back) {
            return;
        }
        if let (Some(after), Some(before)) = (self.back.get_mut(front), self.front.get_mut(back)) {
            *after = Some((back, proof));
            *before = Some(front);
        }
    }

    fn has_front(&self, index: usize) -> bool {
        self.front.get(index).is_none_or(Option::is_some)
    }

    fn has_back(&self, index: usize) -> bool {
        self.back.get(index).is_none_or(Option::is_some)
    }

    /// All chains of at least two, each with its weakest proof.
    fn chains(&self) -> Vec<(Vec<usize>, Proof)> {
        let mut chains = Vec::new();
        for first in 0..self.back.len() {
            if self.has_front(first) || !self.has_back(first) {
                continue;
            }
            let (mut chain, mut weakest, mut at) = (vec![first], Proof::Key, first);
            while let Some((next, proof)) = self.back.get(at).copied().flatten() {
                chain.push(next);
                weakest = weakest.min(proof);
                at = next;
            }
            chains.push((chain, weakest));
        }
        chains
    }
}

fn key_of(session: &Session) -> Option<&str> {
    session.handshake.request.headers.first("Sec-WebSocket-Key")
}

/// What the answer to a request that the capture lacks says of that request's key.
fn accept_alone(session: &Session) -> Option<String> {
    let response = session.handshake.response.as_ref()?;
    let accept = response.headers.first("Sec-WebSocket-Accept")?;
    session.handshake.request_lost.then(|| accept.to_owned())
}

fn link_by_key(sessions: &[&Session], links: &mut Links) {
    // One key gives one Sec-WebSocket-Accept (RFC 6455, section 4.2.2), so where a request
    // is missing the answers are compared.
    let by_accept = sessions.iter().any(|s| accept_alone(s).is_some());
    let named = |session: &Session| match by_accept {
        true => accept_alone(session).or_else(|| session.handshake.expected_accept()),
        false => key_of(session).map(str::to_owned),
    };
    let mut keys: Vec<(String, usize)> = sessions
        .iter()
        .enumerate()
        .filter_map(|(index, session)| Some((named(session)?, index)))
        .collect();
    keys.sort_unstable();
    for group in keys.chunk_by(|(a, _), (b, _)| a == b) {
        // Rationale: a key of one client is on a few legs; one that stands on
        // hundreds of connections is a constant, and proves nothing.
        if (2..=MOST_CANDIDATES).contains(&group.len()) {
            let group: Vec<usize> = group.iter().map(|(_, index)| *index).collect();
            link_group(sessions, &group, links);
        }
    }
}

/// Each leg's front is the innermost request that it was sent within.
fn link_group(sessions: &[&Session], group: &[usize], links: &mut Links) {
    let (mut backs, mut clients) = (BTreeMap::<usize, Vec<usize>>::new(), BTreeSet::new());
    for back in group {
        let Some(session) = sessions.get(*back) else {
            continue;
        };
        let fronts = group.iter().filter_map(|front| {
            let within = sessions
                .get(*front)
                .filter(|other| front != back && passes_on(other, session))
                .filter(|other| encloses(other, session))?;
            Some((dialled(within), *front))
        });
        // A chain's first leg encloses all others: the innermost is the newest.
        let innermost = fronts.max_by_key(|(began, _)| *began);
        match innermost {
            Some((_, front)) => backs.entry(front).or_default().push(*back),
            None => {
                clients.insert(session.leg.client.ip());
            }
        }
    }
    let known = |front: usize, back: usize| {
        let (front, back) = (sessions.get(front), sessions.get(back));
        front.zip(back).is_some_and(|(front, back)| {
            meets(&front.leg, &back.leg) || names(back, front) || alike(front, back)
        })
    };
    for (front, mut candidates) in backs {
        if candidates.len() > 1 {
            // A proxy that tried one upstream after the other: the answer that it passed on tells.
            let status = sessions.get(front).and_then(|s| s.handshake.status());
            candidates.retain(|back| {
                let other = sessions.get(*back).and_then(|s| s.handshake.status());
                status.is_some() && other == status
            });
        }
        // A key that several clients use is one that was written into a program.
        candidates.retain(|back| clients.len() <= 1 || known(front, *back));
        if let [back] = candidates.as_slice() {
            links.add(front, *back, Proof::Key);
        }
    }
}

/// When a leg began: where its request is missing, its first packet has to do.
fn dialled(session: &Session) -> PacketRef {
    match session.handshake.request_lost {
        true => session.leg.first,
        false => began(session),
    }
}

/// Where a request is missing: `back` was dialled after `front`, and answered before it.
fn encloses(front: &Session, back: &Session) -> bool {
    if !front.handshake.request_lost && !back.handshake.request_lost {
        return true;
    }
    let answers = (&front.handshake.response, &back.handshake.response);
    let (Some(passed), Some(answer)) = answers else {
        return false;
    };
    let one_clock = passed.first.source == answer.first.source;
    let within = answer.first < passed.first && dialled(front) <= dialled(back);
    match one_clock {
        true => within,
        false => meets(&front.leg, &back.leg) && !meets(&back.leg, &front.leg),
    }
}

/// The request of `back` may be that of `front`, passed on: it was sent while
/// `front` waited for its answer, and not by its client at a second try.
fn passes_on(front: &Session, back: &Session) -> bool {
    let (a, b) = (&front.leg, &back.leg);
    let meets = meets(a, b);
    let retry = a.client.ip() == b.client.ip() && !meets;
    if a.tcp_stream == b.tcp_stream || a.server == b.server || retry {
        return false;
    }
    let unseen = |session: &Session| session.handshake.request_lost;
    if unseen(front) || unseen(back) {
        // Opened before the capture began: all that can be asked is that they were open together.
        let (from, to) = (
            a.first.max(b.first),
            a.last_packet_any().min(b.last_packet_any()),
        );
        return from.time <= to.time;
    }
    let (asked, passed) = (began(front), began(back));
    let one_clock = asked.source == passed.source;
    let known = meets || names(back, front);
    if !one_clock && known && !signs::meets(b, a) {
        let apart =
            asked.time.saturating_since(passed.time) + passed.time.saturating_since(asked.time);
        return apart <= SKEW;
    }
    let answered = match &front.handshake.response {
        Some(response) => response.first.time,
        None => a.last_packet_any().time,
    };
    let in_order = asked.time < passed.time || (asked.time == passed.time && asked < passed);
    in_order && passed.time <= answered
}

/// Where a proxy makes a handshake of its own: what speaks for two legs.
fn link_by_signs(sessions: &[&Session], links: &mut Links) {
    let by = |address: fn(&Leg) -> IpAddr| {
        let mut fronts: BTreeMap<IpAddr, Vec<(PacketRef, usize)>> = BTreeMap::new();
        for (index, session) in sessions.iter().enumerate() {
            let at = fronts.entry(address(&session.leg)).or_default();
            at.push((began(session), index));
        }
        for fronts in fronts.values_mut() {
            fronts.sort_unstable();
        }
        fronts
    };
    let (by_server, by_client) = (by(|leg| leg.server.ip()), by(|leg| leg.client.ip()));
    let mut fits: BTreeMap<usize, Vec<(usize, Proof)>> = BTreeMap::new();
    for (index, back) in sessions.iter().enumerate() {
        if links.has_front(index) {
            continue;
        }
        let mut fronts = before(&by_server, back.leg.client.ip(), back);
        for client in named(back) {
            fronts.extend(before(&by_client, client, back));
        }
        fronts.sort_unstable();
        fronts.dedup();
        let mut found: Vec<(usize, Proof)> = fronts
            .into_iter()
            .filter(|front| *front != index && !links.has_back(*front))
            .filter_map(|front| Some((front, proof_of(sessions.get(front)?, back)?)))
            .collect();
        let best = found.iter().map(|(_, proof)| *proof).max();
        found.retain(|(_, proof)| Some(*proof) == best);
        if let [(front, proof)] = found.as_slice() {
            fits.entry(*front).or_default().push((index, *proof));
        }
    }
    for (front, backs) in fits {
        if let [(back, proof)] = backs.as_slice() {
            links.add(front, *back, *proof);
        }
    }
}

/// Those at this address that had asked when `back` did, the newest few.
fn before(
    fronts: &BTreeMap<IpAddr, Vec<(PacketRef, usize)>>,
    at: IpAddr,
    back: &Session,
) -> Vec<usize> {
    let Some(fronts) = fronts.get(&at) else {
        return Vec::new();
    };
    let upto = if back.handshake.request_lost {
        fronts.len()
    } else {
        fronts.partition_point(|(asked, _)| asked.time <= began(back).time)
    };
    let waiting = fronts.get(..upto).unwrap_or_default().iter().rev();
    let newest = waiting.take(MOST_CANDIDATES);
    newest.map(|(_, index)| *index).collect()
}

/// What shows that the two are legs of one story, though the key isn't passed on.
fn proof_of(front: &Session, back: &Session) -> Option<Proof> {
    if !passes_on(front, back) || (key_of(front).is_some() && key_of(front) == key_of(back)) {
        return None;
    }
    let same_path = front.handshake.request.target == back.handshake.request.target;
    let named = names(back, front);
    match (meets(&front.leg, &back.leg), named, alike(front, back)) {
        (true, _, true) | (_, true, true) => Some(Proof::Signs),
        // One client may have several sessions through a proxy: the path has to fit.
        (true, true, false) if same_path => Some(Proof::Signs),
        (_, true, _) if same_path && names_exactly(back, front) => Some(Proof::Signs),
        (true, true, false) | (false, false, true) => Some(Proof::OneSign),
        (false, true, false) if same_path => Some(Proof::OneSign),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::script::{Script, Told};
    use crate::session::{Party, Proof, Role, Session};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    const OTHER_KEY: &str = "x3JJHMbDL1EzLkh9GBhXDw==";

    fn proof(told: &Told) -> Option<Proof> {
        told.sessions[0].joined.as_ref().map(|j| j.story.proof)
    }

    fn roles(told: &Told) -> Vec<Option<Role>> {
        let role = |session: &Session| session.joined.as_ref().map(|joined| joined.role());
        told.sessions.iter().map(role).collect()
    }

    /// The backend's leg within the client's handshake; the requests have these lines more.
    fn proxied(front: &str, back: &str) -> Script {
        Script::new()
            .handshake()
            .request(front)
            .behind(|s| s.upgrade_with(back, ""))
            .accept("")
    }

    fn own_handshake(more: &str) -> String {
        format!(
            "GET /ws HTTP/1.1\r\nHost: b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {OTHER_KEY}\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
        )
    }

    /// The proxy makes a handshake of its own.
    fn rekeyed(more: &str) -> Script {
        let head = own_handshake(more);
        let accept = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
            Connection: Upgrade\r\nSec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\n\r\n";
        Script::new()
            .handshake()
            .request("")
            .behind(|s| {
                s.handshake()
                    .bytes(ClientToServer, head.as_bytes())
                    .bytes(ServerToClient, accept.as_bytes())
            })
            .accept("")
    }

    /// A message of the client and one of the server, passed on.
    fn talk(script: Script, asked: &str, told: &str) -> Script {
        script
            .text(ClientToServer, asked)
            .behind(|s| s.text(ClientToServer, asked).text(ServerToClient, told))
            .text(ServerToClient, told)
    }

    #[test]
    fn a_key_that_is_passed_on_joins_two_legs() {
        let told = proxied("", "").told();
        assert_eq!(proof(&told), Some(Proof::Key));
        assert_eq!(roles(&told), [Some(Role::Client), Some(Role::Upstream)]);
    }

    #[test]
    fn a_proxy_with_two_addresses_joins_by_the_key_too() {
        let told = Script::new()
            .proxy_dials_from(77)
            .handshake()
            .request("")
            .behind(Script::upgrade)
            .accept("")
            .told();
        assert_eq!(proof(&told), Some(Proof::Key));
    }

    #[test]
    fn a_key_used_again_after_the_answer_joins_nothing() {
        let told = Script::new().upgrade().behind(Script::upgrade).told();
        assert_eq!(roles(&told), [None, None]);
    }

    #[test]
    fn a_second_try_of_the_same_client_is_no_leg() {
        let told = Script::new()
            .handshake()
            .request("")
            .elsewhere(40_009, Script::upgrade)
            .accept("")
            .told();
        assert_eq!(roles(&told), [None, None]);
    }

    #[test]
    fn a_second_request_with_the_same_key_has_a_leg_of_its_own() {
        let refused = |s: Script| s.request("").answer("401 Unauthorized", "", "");
        let told = Script::new()
            .handshake()
            .request("")
            .behind(|s| refused(s.handshake()))
            .answer("401 Unauthorized", "", "")
            .request("")
            .behind(|s| s.request("").accept(""))
            .accept("")
            .told();
        let story = |session: &Session| session.joined.as_ref().map(|j| j.story.number);
        let stories: Vec<_> = told.sessions.iter().map(story).collect();
        assert_eq!(stories, [Some(1), Some(1), Some(2), Some(2)]);
    }

    #[test]
    fn a_key_that_is_written_into_several_clients_proves_nothing() {
        let told = Script::new()
            .proxy_dials_from(77)
            .handshake()
            .request("")
            .behind(Script::upgrade)
            .accept("")
            .at_host(9)
            .upgrade()
            .told();
        assert_eq!(roles(&told), [None, None, None]);
    }

    #[test]
    fn two_upstreams_at_once_are_ambiguous() {
        let told = Script::new()
            .handshake()
            .request("")
            .behind(|s| s.upgrade().at_server_port(9_001).at_port(50_009).upgrade())
            .accept("")
            .told();
        assert_eq!(roles(&told), [None, None, None]);
    }

    #[test]
    fn the_upstream_that_answered_alike_is_the_leg() {
        let told = Script::new()
            .handshake()
            .request("")
            .behind(|s| {
                s.handshake()
                    .request("")
                    .answer("503 Service Unavailable", "", "")
                    .at_server_port(9_001)
                    .at_port(50_009)
                    .upgrade()
            })
            .accept("")
            .told();
        assert_eq!(
            roles(&told),
            [Some(Role::Client), None, Some(Role::Upstream)]
        );
    }

    #[test]
    fn a_proxy_that_names_its_client_is_told_without_the_key() {
        let told = rekeyed("X-Forwarded-For: 10.0.0.1\r\n").told();
        assert_eq!(proof(&told), Some(Proof::Signs));
        let other = rekeyed("X-Forwarded-For: 192.0.2.9\r\n").told();
        assert_eq!(proof(&other), None);
    }

    #[test]
    fn a_client_named_with_its_port_is_proof_though_the_proxy_has_two_addresses() {
        let joined = |more: &str, front: u16| {
            let head = own_handshake(more);
            let script = Script::new()
                .proxy_dials_from(77)
                .at_port(front)
                .handshake();
            let backend = |s: Script| s.handshake().bytes(ClientToServer, head.as_bytes());
            proof(&script.request("").behind(backend).accept("").told())
        };
        let named = "X-Forwarded-For: 10.0.0.1:40001\r\n";
        assert_eq!(joined(named, 40_001), Some(Proof::Signs));
        assert_eq!(joined(named, 40_002), Some(Proof::OneSign));
        let address = "X-Forwarded-For: 10.0.0.1\r\n";
        assert_eq!(joined(address, 40_001), Some(Proof::OneSign));
    }

    #[test]
    fn messages_alike_at_one_proxy_join_without_the_key() {
        let script = talk(rekeyed(""), "hello", "welcome!");
        let told = talk(script, "what is new?", "nothing").told();
        assert_eq!(proof(&told), Some(Proof::Signs));
    }

    #[test]
    fn two_legs_that_were_open_before_are_told_by_their_messages() {
        let open = |s: Script| s.handshake().request("").behind(Script::upgrade).accept("");
        let script = talk(Script::new().unseen(open), "hello, server", "welcome!");
        let script = talk(script, "what is new today?", "nothing that I know of");
        let told = talk(script, "and tomorrow?", "ask me then").told();
        assert_eq!(proof(&told), Some(Proof::Signs));
    }

    #[test]
    fn two_sessions_through_one_proxy_are_not_joined_for_that() {
        let told = rekeyed("")
            .text(ClientToServer, "hello")
            .text(ServerToClient, "welcome!")
            .behind(|s| {
                s.text(ClientToServer, "a longer word")
                    .text(ServerToClient, "yes")
                    .text(ServerToClient, "no")
            })
            .told();
        assert_eq!(proof(&told), None);
    }

    #[test]
    fn a_health_check_in_the_middle_of_a_handshake_is_not_joined() {
        let told = rekeyed("User-Agent: health-check/1.0\r\n")
            .behind(|s| s.clean_close(ClientToServer))
            .told();
        assert_eq!(proof(&told), None);
    }

    #[test]
    fn whose_end_no_other_leg_explains_began() {
        let party = |script: Script| {
            let told = script.told();
            let joined = told.sessions[1].joined.clone();
            joined.and_then(|j| j.story.origin()).map(|o| o.party)
        };
        let backend = proxied("", "")
            .behind(|s| s.fin(ServerToClient).fin(ClientToServer))
            .fin(ServerToClient);
        assert_eq!(party(backend), Some(Party::Server));
        let proxy = proxied("", "")
            .behind(|s| s.fin(ClientToServer))
            .fin(ServerToClient);
        assert_eq!(party(proxy), Some(Party::Proxy(0)));
        let client = proxied("", "")
            .fin(ClientToServer)
            .behind(|s| s.fin(ClientToServer));
        assert_eq!(party(client), Some(Party::Client));
        assert_eq!(party(proxied("", "")), None);
    }
}

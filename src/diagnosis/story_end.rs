//! The end of a session on several legs: which of them is told of, and what the others add.

use std::collections::BTreeMap;

use super::closing::close_of;
use super::ending::Terminator;
use super::ends::{End, Reading};
use super::legs::{self, by_id, proxy_name};
use super::wording::span;
use super::{Confidence, Evidence, Finding, Kind, Overview, Value};
use crate::session::{Origin, Party, SignKind, Story, StoryLeg};
use crate::stream::Direction;

/// The story of a proxy's legs, as far as its end goes.
#[derive(Debug)]
pub(super) struct Legs<'a> {
    /// All legs.
    pub(super) story: &'a Story,
    /// Who sent the FIN or reset.
    pub(super) party: Party,
    /// Who began the end of the story.
    pub(super) began: Party,
    /// What the client's leg calls the proxy.
    pub(super) name: &'static str,
    /// What each proxy is called, from the client's on; by address too where there are several.
    names: Vec<String>,
    /// How the other legs ended: their sessions, and what ended them.
    pub(super) others: Vec<(u32, Terminator)>,
}

impl Legs<'_> {
    /// A party in words: a backend by its address, and a proxy where it is one of several.
    fn who(&self, party: Party) -> String {
        match (party, self.story.legs.last()) {
            (Party::Client, _) => "the client".to_owned(),
            (Party::Proxy(place), _) => match self.names.get(place) {
                Some(name) => name.clone(),
                None => self.name.to_owned(),
            },
            (Party::Server, Some(last)) => format!("the backend {}", last.server),
            (Party::Server, None) => "the backend".to_owned(),
        }
    }

    /// Who sent the FIN or reset, always with an address where it isn't the client.
    pub(super) fn ender(&self) -> String {
        let one = self.names.len() == 1;
        match (self.party, self.story.legs.first()) {
            (Party::Proxy(_), Some(first)) if one => format!("{} {}", self.name, first.server),
            (party, _) => self.who(party),
        }
    }
}

/// Makes one end of those of a story's legs.
pub(super) fn join<'a>(ends: Vec<End<'a>>, overview: &Overview<'a>) -> Vec<End<'a>> {
    let mut whole = Vec::with_capacity(ends.len());
    let mut stories: BTreeMap<u32, Vec<End<'a>>> = BTreeMap::new();
    for end in ends {
        match legs::joined(end.session) {
            Some(joined) => stories.entry(joined.story.number).or_default().push(end),
            None => whole.push(end),
        }
    }
    for legs in stories.into_values() {
        whole.extend(one_of(legs, overview));
    }
    whole.sort_by_key(|end| end.session.id);
    whole
}

fn place(end: &End<'_>) -> usize {
    legs::joined(end.hit).map_or(0, |joined| joined.place)
}

fn one_of<'a>(mut ends: Vec<End<'a>>, overview: &Overview<'a>) -> Option<End<'a>> {
    ends.sort_by_key(place);
    let shown = ends.first()?.session;
    let story = &*legs::joined(shown)?.story;
    let Some(origin) = story.origin() else {
        return ends.into_iter().next();
    };
    let sender = |end: &End<'_>| story.sender(place(end), end.terminator.direction);
    // Of a proxy's two ends the one that the client got, of another's that on its own leg.
    let main = ends
        .iter()
        .position(|end| sender(end) == origin.party)
        .or_else(|| {
            // That leg can't be read, but its FIN or reset is the first of all.
            ends.insert(0, unread_end(&origin, ends.first()?, overview)?);
            Some(0)
        })
        .unwrap_or(0);
    let others = ends.iter().enumerate().filter(|(index, _)| *index != main);
    let others = others
        .map(|(_, end)| (end.session.id, end.terminator))
        .collect();
    let called =
        |leg: &StoryLeg| by_id(overview.sessions, leg.session).map_or("the proxy", proxy_name);
    let name = story.legs.first().map_or("the proxy", called);
    let fronts = story
        .legs
        .split_last()
        .map_or(&[][..], |(_, fronts)| fronts);
    let names = match fronts {
        [_] => vec![name.to_owned()],
        several => several
            .iter()
            .map(|leg| format!("{} {}", called(leg), leg.server))
            .collect(),
    };
    let mut end = ends.into_iter().nth(main)?;
    let party = sender(&end);
    end.session = shown;
    end.proxy = matches!(party, Party::Proxy(_)).then_some(name);
    end.legs = Some(Legs {
        story,
        party,
        began: origin.party,
        name,
        names,
        others,
    });
    Some(end)
}

/// The FIN or reset that began the end, on a leg whose frames the capture lacks; what `read`
/// shows of another leg says that no Close frame passed there either.
fn unread_end<'a>(origin: &Origin, read: &End<'a>, overview: &Overview<'a>) -> Option<End<'a>> {
    let story = &legs::joined(read.session)?.story;
    let hit = by_id(overview.sessions, story.legs.get(origin.place)?.session)?;
    let mut closing = close_of(hit);
    let terminator = closing.terminator?;
    let begins = terminator.at == origin.sign.at && origin.sign.kind != SignKind::Close;
    if !begins || !matches!(closing.kind, Kind::Open | Kind::Abnormal) {
        return None;
    }
    let last = hit
        .leg
        .last_payload_any()
        .filter(|last| *last <= terminator.at);
    closing.idle_from = last;
    closing.idle = last.and_then(|last| terminator.at.time.since(last.time));
    Some(End {
        session: read.session,
        hit,
        closing,
        terminator,
        reading: Reading::Side,
        proxy: None,
        legs: None,
        together: 0,
        age: None,
    })
}

impl End<'_> {
    /// How sure the end is of a leg that may hide frames: another leg, read to its end, shows
    /// that no Close frame passed.
    pub(super) fn certainty_of_others(&self) -> Confidence {
        let read = self
            .legs
            .as_ref()
            .is_some_and(|legs| !legs.others.is_empty());
        let whole = |side| !self.session.may_hide_frames(side);
        match read && self.session.id != self.hit.id && Direction::BOTH.into_iter().all(whole) {
            true => Confidence::Likely,
            false => Confidence::Possible,
        }
    }

    /// The finding with the other legs' ends, its packets in the order of the capture.
    pub(super) fn told(&self, mut finding: Finding) -> Finding {
        if let Some(legs) = &self.legs {
            for (session, other) in &legs.others {
                let what = format!(
                    "{} of {}, s{session}",
                    other.word(),
                    self.sender_of(*session, other)
                );
                finding.evidence.push(Evidence::new(other.at, what));
            }
            let names = legs
                .story
                .legs
                .iter()
                .map(|leg| format!("s{}", leg.session));
            finding = finding.data("legs", Value::List(names.collect()));
            if let Some(delay) = legs.story.delay() {
                finding = finding.data("legs_apart_ms", Value::Ms(delay));
            }
            finding.tcp_stream = None;
        }
        finding.evidence.sort_by_key(|evidence| evidence.at);
        finding
    }

    fn sender_of(&self, session: u32, end: &Terminator) -> String {
        let Some(legs) = &self.legs else {
            return end.direction.sender().to_owned();
        };
        let all = legs.story.legs.iter();
        let place = all.take_while(|leg| leg.session != session).count();
        legs.who(legs.story.sender(place, end.direction))
    }

    /// The backend of a proxy ended first, on a leg of its own.
    pub(super) fn behind_proxy(&self) -> bool {
        let party = self.legs.as_ref().map(|legs| legs.party);
        party == Some(Party::Server)
    }

    /// That the proxy before the backend didn't begin it, where both legs show that.
    pub(super) fn acquits_proxy(&self) -> Option<&'static str> {
        let legs = self.legs.as_ref().filter(|_| self.behind_proxy())?;
        Some(match legs.others.is_empty() {
            true => "the backend ended first: the proxy is not to blame",
            false => "the backend ended first, and its proxy followed: the proxy is not to blame",
        })
    }

    /// `; nginx ended the client's leg 0.2 ms later`, where a proxy followed.
    pub(super) fn followed(&self) -> String {
        let Some(legs) = self.legs.as_ref().filter(|legs| !legs.others.is_empty()) else {
            return String::new();
        };
        let (place, other) = match legs.party {
            Party::Proxy(_) if legs.began == legs.party => {
                return "; it ended both legs".to_owned();
            }
            Party::Proxy(_) => return String::new(),
            Party::Server => (0, "the client's leg"),
            Party::Client => (legs.names.len().saturating_sub(1), "the leg to the backend"),
        };
        let proxy = legs.who(Party::Proxy(place));
        match legs.story.delay() {
            Some(delay) => format!("; {proxy} ended {other} {} later", span(delay)),
            None => format!("; {proxy} then ended {other}"),
        }
    }

    /// Why the proxy ended this leg, where another leg's end was first: with a Close frame, say.
    pub(super) fn proxy_followed(&self) -> Option<String> {
        let legs = self.legs.as_ref()?;
        let first = match (legs.party, legs.began) {
            (Party::Proxy(_), Party::Server | Party::Client) => legs.who(legs.began),
            _ => return None,
        };
        let sign = legs.story.origin()?.sign.kind;
        let name = legs.who(legs.party);
        let kept = match sign {
            SignKind::Close => format!("{name} followed, and did not pass the Close frame on"),
            SignKind::Fin | SignKind::Reset => format!("{name} followed"),
        };
        Some(format!(
            "{first} had ended its leg first, with a {}; {kept}",
            sign.name()
        ))
    }

    /// haproxy's way with a session that its timer ends: FIN to the client, reset to the server.
    pub(super) fn as_haproxy_does(&self) -> bool {
        let others = self.legs.iter().flat_map(|legs| &legs.others);
        let mut resets = others.filter(|(_, other)| {
            other.reset.is_some() && other.direction == Direction::ClientToServer
        });
        self.of_proxys_own_will() && self.terminator.reset.is_none() && resets.next().is_some()
    }

    /// A proxy whose legs on both sides were captured, and neither of which had ended before.
    pub(super) fn of_proxys_own_will(&self) -> bool {
        self.legs
            .as_ref()
            .is_some_and(|legs| matches!(legs.party, Party::Proxy(_)) && legs.began == legs.party)
    }
}

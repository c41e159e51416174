//! IEEE 802.11, and the headers in which monitors report on the radio.

use super::cooked;
use super::layer::{Layer, MALFORMED, Next, Rest, Why};

/// What the header before a frame tells about it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    /// The frame check sequence was captured too: the last 4 bytes.
    fcs: bool,
    /// The frame was damaged on the air.
    damaged: bool,
    /// The MAC header is padded to a multiple of 4 bytes, as some adapters do.
    padded: bool,
}

/// LINKTYPE_IEEE802_11_RADIOTAP: version, length, then words that tell which
/// fields follow. All is little-endian, and aligned to its own size.
pub(super) fn radiotap(rest: Rest<'_>) -> Next<'_> {
    const TIME: u32 = 1;
    const FLAGS: u32 = 2;
    const ANOTHER_WORD: u8 = 0x80;
    let ([version, _, l0, l1, p0, p1, p2, p3], _) = rest.take::<8>()?;
    if *version != 0 {
        return Err(MALFORMED);
    }
    let len = usize::from(u16::from_le_bytes([*l0, *l1]));
    let frame_at = rest.skip(len)?;
    let present = u32::from_le_bytes([*p0, *p1, *p2, *p3]);
    let words = rest.bytes.get(4..len).unwrap_or_default().chunks_exact(4);
    let more = words.take_while(|word| word.last().is_some_and(|top| top & ANOTHER_WORD != 0));
    let fields = 4 + 4 * (more.count() + 1);
    let flags_at = match present & TIME {
        0 => fields,
        _ => fields.next_multiple_of(8) + 8,
    };
    let flags = match present & FLAGS {
        0 => 0,
        _ => rest
            .bytes
            .get(..len)
            .and_then(|head| head.get(flags_at))
            .copied()
            .unwrap_or(0),
    };
    let told = Told {
        fcs: flags & 0x10 != 0,
        padded: flags & 0x20 != 0,
        damaged: flags & 0x40 != 0,
    };
    frame(frame_at, told)
}

/// LINKTYPE_PPI: version, flags, length, link type, then fields (type, length,
/// value). All is little-endian.
pub(super) fn ppi(rest: Rest<'_>) -> Next<'_> {
    const IEEE802_11: u32 = 105;
    /// Its value: the time in 8 bytes, then two of flags.
    const COMMON: [u8; 2] = [2, 0];
    const ALIGNED: u8 = 1;
    let ([_, flags, l0, l1, link @ ..], mut fields) = rest.take::<8>()?;
    let len = usize::from(u16::from_le_bytes([*l0, *l1]));
    let inside = rest.skip(len)?;
    let link = u32::from_le_bytes(*link);
    if link != IEEE802_11 {
        return cooked::inner(link, inside);
    }
    let mut told = Told::default();
    // Rationale: three fields are usual, a dozen types are known.
    for _ in 0..32 {
        let Ok(([t0, t1, v0, v1], value)) = fields.take::<4>() else {
            break;
        };
        if value.bytes.len() < inside.bytes.len() {
            break;
        }
        if let (COMMON, Some(common)) = ([*t0, *t1], value.bytes.first_chunk::<10>()) {
            told.fcs = common[8] & 1 != 0;
            told.damaged = common[8] & 4 != 0;
        }
        let value_len = usize::from(u16::from_le_bytes([*v0, *v1]));
        let aligned = match flags & ALIGNED {
            0 => value_len,
            _ => value_len.next_multiple_of(4),
        };
        let Ok(next) = value.skip(aligned) else { break };
        fields = next;
    }
    frame(inside, told)
}

/// LINKTYPE_IEEE802_11_AVS: a magic number with the version, then the length of this header.
pub(super) fn avs(rest: Rest<'_>) -> Next<'_> {
    let ([_, _, _, _, l0, l1, l2, l3], _) = rest.take::<8>()?;
    let len = u32::from_be_bytes([*l0, *l1, *l2, *l3]);
    let len = usize::try_from(len).map_err(|_| MALFORMED)?;
    frame(rest.skip(len)?, Told::default())
}

/// LINKTYPE_IEEE802_11_PRISM: a message code and the length of this header, in
/// the byte order of the machine that captured. Some drivers write AVS instead.
pub(super) fn prism(rest: Rest<'_>) -> Next<'_> {
    const AVS: [u8; 3] = [0x80, 0x21, 0x10];
    let (head, _) = rest.take::<8>()?;
    let [c0, c1, c2, _, len @ ..] = *head;
    if [c0, c1, c2] == AVS {
        return avs(rest);
    }
    let len = u32::from_le_bytes(len).min(u32::from_be_bytes(len));
    let len = usize::try_from(len).map_err(|_| MALFORMED)?;
    frame(rest.skip(len)?, Told::default())
}

/// A frame from its MAC header on (IEEE 802.11-2020, section 9.2).
///
/// ```text
/// control 2 | duration 2 | address 6 | address 6 | address 6 | sequence 2
///     [address 6: both DS bits] [QoS control 2] [HT control 4] data [FCS 4]
/// ```
pub(super) fn frame(rest: Rest<'_>, told: Told) -> Next<'_> {
    const MORE_FRAGMENTS: u8 = 0x04;
    const ORDER: u8 = 0x80;
    const PROTECTED: u8 = 0x40;
    if told.damaged {
        return Err("wlan-damaged");
    }
    let rest = rest.without_tail(if told.fcs { 4 } else { 0 });
    let (&[control, flags], _) = rest.take::<2>()?;
    subtype_with_data(control)?;
    let (head, mut after) = rest.take::<24>()?;
    let mut len = head.len();
    if flags & 3 == 3 {
        (_, after) = after.take::<6>()?;
        len += 6;
    }
    let mut aggregate = false;
    if control & 0x80 != 0 {
        let (qos, behind) = after.take::<2>()?;
        aggregate = qos[0] & 0x80 != 0;
        after = behind;
        len += 2;
        // Without QoS the bit means strict order, and no field follows.
        if flags & ORDER != 0 {
            (_, after) = after.take::<4>()?;
            len += 4;
        }
    }
    if told.padded {
        after = after.skip(len.next_multiple_of(4) - len)?;
    }
    if flags & MORE_FRAGMENTS != 0 || head[22] & 0x0f != 0 {
        return Err("wlan-fragment");
    }
    match flags & PROTECTED {
        0 if aggregate => Ok((Layer::Aggregate, after)),
        0 => Ok((Layer::Llc, after)),
        _ => decrypted(after),
    }
}

/// Only data frames carry packets, and not all of them.
fn subtype_with_data(control: u8) -> Result<(), Why> {
    const NO_DATA: u8 = 0x40;
    match (control & 3, control >> 2 & 3) {
        (0, 0) => Err("wlan-management"),
        (0, 1) => Err("wlan-control"),
        (0, 2) if control & NO_DATA == 0 => Ok(()),
        (0, 2) => Err("wlan-no-data"),
        _ => Err(MALFORMED),
    }
}

/// Some drivers hand over what they have decrypted with the bit still set, and
/// with the initialisation vector of CCMP (8 bytes) or WEP (4) or without. The
/// 6 bytes of LLC and SNAP that begin every packet tell.
fn decrypted(rest: Rest<'_>) -> Next<'_> {
    const SNAP: [u8; 6] = [0xaa, 0xaa, 3, 0, 0, 0];
    for vector in [0, 4, 8] {
        if let Ok(data) = rest.skip(vector)
            && data.bytes.starts_with(&SNAP)
        {
            return Ok((Layer::Llc, data));
        }
    }
    Err("wlan-protected")
}

/// One datagram of an aggregate (A-MSDU) with its LLC header, and whether another follows:
/// two addresses, a length, data, padding to 4 bytes (section 9.3.2.2).
pub(super) fn subframe(mut rest: Rest<'_>, index: u16) -> Result<(Rest<'_>, bool), Why> {
    for place in 0..=index {
        let (head, data) = rest.take::<14>()?;
        let [.., high, low] = *head;
        let len = usize::from(u16::from_be_bytes([high, low]));
        let next = data.skip((head.len() + len).next_multiple_of(4) - head.len());
        let next = next.ok().filter(|next| next.bytes.len() > head.len());
        if place == index {
            return Ok((data.limit(len), next.is_some()));
        }
        rest = next.ok_or(MALFORMED)?;
    }
    Err(MALFORMED)
}

//! Secrets don't leave the program unless asked for: tokens in URLs, Cookie,
//! Authorization, tokens offered as subprotocols.

use std::borrow::Cow;

/// Whether secrets are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Secrets {
    /// Replaced by [`REPLACEMENT`].
    #[default]
    Redacted,
    /// Shown as they are (`--show-secrets`).
    Shown,
}

/// What stands in a secret's place.
pub const REPLACEMENT: &str = "[redacted]";

/// Names of query parameters whose values are secrets if a part of the name is one of these.
const SECRET_PARTS: [&str; 22] = [
    "token",
    "auth",
    "jwt",
    "key",
    "secret",
    "pass",
    "pwd",
    "sig",
    "sess",
    "code",
    "cred",
    "ticket",
    "cookie",
    "access",
    "bearer",
    "otp",
    "nonce",
    "hash",
    "hmac",
    "saml",
    "assertion",
    "state",
];
/// The same, for whole names: as parts they would hide too much (`side`, `aside`, `id`).
const SECRET_NAMES: [&str; 6] = ["sid", "t", "st", "a", "pin", "connectiontoken"];

impl Secrets {
    /// A request target: the values of secret query parameters, whatever looks
    /// like a token, and credentials before an `@` are replaced.
    pub fn target(self, target: &str) -> Cow<'_, str> {
        if self == Self::Shown {
            return Cow::Borrowed(target);
        }
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let mut shown = hide_in_path(path);
        if let Some(query) = query {
            shown.push('?');
            let mut first = true;
            for part in query.split('&') {
                if !first {
                    shown.push('&');
                }
                first = false;
                shown.push_str(&hide_in_parameter(part));
            }
        }
        Cow::Owned(shown)
    }

    /// `host:port` as CONNECT asks for it: credentials before an `@` and
    /// control characters are replaced.
    pub fn authority(self, target: &str) -> Cow<'_, str> {
        if self == Self::Shown {
            return Cow::Borrowed(target);
        }
        let shown = match target.rsplit_once('@') {
            Some((_, host)) => format!("{REPLACEMENT}@{host}"),
            None => self.target(target).into_owned(),
        };
        let printable = shown.chars().map(|c| if c.is_control() { ' ' } else { c });
        // Rationale: RFC 1035, section 2.3.4: a name has at most 255 bytes.
        Cow::Owned(printable.take(270).collect())
    }

    /// A subprotocol, as offered or chosen. Clients that can't set headers put
    /// tokens there.
    pub fn subprotocol(self, name: &str) -> Cow<'_, str> {
        if self == Self::Shown || !is_secret_subprotocol(name) {
            return Cow::Borrowed(name);
        }
        Cow::Borrowed(REPLACEMENT)
    }

    /// A list of subprotocols in the order of the offer. What follows a name
    /// such as `access_token` is the token itself, whatever it looks like.
    pub fn subprotocols<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Vec<Cow<'a, str>> {
        let mut announced = false;
        let mut show = |name| {
            let follows = std::mem::replace(&mut announced, announces_a_secret(name));
            match follows && self == Self::Redacted {
                true => Cow::Borrowed(REPLACEMENT),
                false => self.subprotocol(name),
            }
        };
        names.into_iter().map(&mut show).collect()
    }

    /// The value of a header field.
    pub fn header<'a>(self, name: &str, value: &'a str) -> Cow<'a, str> {
        const SECRET: [&str; 5] = [
            "authorization",
            "proxy-authorization",
            "cookie",
            "set-cookie",
            "x-api-key",
        ];
        let lower = name.to_ascii_lowercase();
        if self == Self::Shown {
            return Cow::Borrowed(value);
        }
        if SECRET.contains(&lower.as_str())
            || (lower != "sec-websocket-key"
                && is_secret_name(&lower)
                && lower != "sec-websocket-accept")
        {
            return Cow::Borrowed(REPLACEMENT);
        }
        match lower.as_str() {
            "location" | "referer" => self.target(value),
            "sec-websocket-protocol" => {
                let shown = self.subprotocols(value.split(',').map(str::trim));
                Cow::Owned(shown.join(", "))
            }
            _ => Cow::Borrowed(value),
        }
    }

    /// Free text of an endpoint, a refusal's body or a Close reason: what
    /// looks like a token, and every secret value that `known` names, is replaced.
    pub fn text<'a>(self, text: &'a str, known: &[String]) -> Cow<'a, str> {
        if self == Self::Shown {
            return Cow::Borrowed(text);
        }
        let mut shown = Cow::Borrowed(text);
        for secret in known.iter().filter(|s| s.len() >= 4) {
            if shown.contains(secret.as_str()) {
                shown = Cow::Owned(shown.replace(secret.as_str(), REPLACEMENT));
            }
        }
        let tokens: Vec<String> = shown
            .split(|c: char| c.is_whitespace() || "\"'<>,;()[]{}=&?".contains(c))
            .filter(|word| looks_like_token(word))
            .map(str::to_owned)
            .collect();
        for token in tokens {
            shown = Cow::Owned(shown.replace(&token, REPLACEMENT));
        }
        shown
    }
}

/// The secret values that a request carries, as they stand and decoded: to be
/// found again in what the server echoes.
pub fn secrets_of(target: &str, headers: &[(String, String)]) -> Vec<String> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let in_path = path.split('/').filter(|part| looks_like_token(part));
    let mut secrets: Vec<String> = in_path.map(str::to_owned).collect();
    for (name, value) in query.split('&').filter_map(|part| part.split_once('=')) {
        if is_secret_name(&name.to_ascii_lowercase()) || looks_like_token(value) {
            secrets.extend(percent_decoded(value));
            secrets.push(value.to_owned());
        }
    }
    for (name, value) in headers {
        match name.to_ascii_lowercase().as_str() {
            "authorization" | "proxy-authorization" => {
                secrets.extend(value.split_whitespace().skip(1).map(str::to_owned));
            }
            "cookie" => secrets.extend(
                value
                    .split(';')
                    .filter_map(|c| c.split_once('='))
                    .map(|(_, v)| v.trim().to_owned()),
            ),
            "sec-websocket-protocol" => {
                let names = value.split(',').map(str::trim);
                let shown = Secrets::Redacted.subprotocols(names.clone());
                let hidden = names.zip(shown).filter(|(_, shown)| shown == REPLACEMENT);
                secrets.extend(hidden.map(|(name, _)| name.to_owned()));
            }
            _ => {}
        }
    }
    secrets
}

/// The value that `%2B` and its like stand for (RFC 3986, section 2.1); `None` where nothing is encoded.
pub(super) fn percent_decoded(value: &str) -> Option<String> {
    let mut parts = value.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    let decoded = String::from_utf8(bytes).ok()?;
    (decoded != value).then_some(decoded)
}

fn hide_in_parameter(part: &str) -> Cow<'_, str> {
    match part.split_once('=') {
        Some((name, value))
            if !value.is_empty()
                && (is_secret_name(&name.to_ascii_lowercase()) || looks_like_token(value)) =>
        {
            Cow::Owned(format!("{name}={REPLACEMENT}"))
        }
        None if looks_like_token(part) => Cow::Borrowed(REPLACEMENT),
        _ => Cow::Borrowed(part),
    }
}

fn hide_in_path(path: &str) -> String {
    let mut shown = String::with_capacity(path.len());
    let path = match path.rsplit_once('@') {
        // `ws://user:password@host/`: only in absolute form.
        Some((before, after)) if before.contains("://") => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            shown.push_str(scheme);
            shown.push_str("://");
            shown.push_str(REPLACEMENT);
            shown.push('@');
            after
        }
        _ => path,
    };
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            shown.push('/');
        }
        // `/chat;jsessionid=...` and `/chat#token=...`: parameters, though not of the query.
        let mut parts = segment.split_inclusive([';', '#']);
        for part in &mut parts {
            let name = part.trim_end_matches([';', '#']);
            shown.push_str(&hide_in_parameter(name));
            shown.push_str(part.get(name.len()..).unwrap_or_default());
        }
    }
    shown
}

fn is_secret_name(lower: &str) -> bool {
    SECRET_NAMES.contains(&lower) || SECRET_PARTS.iter().any(|part| lower.contains(part))
}

/// Names that clients offer only to have the token come next: browsers can't
/// set header fields on a WebSocket, so it travels as a subprotocol.
fn announces_a_secret(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "access_token",
        "access-token",
        "accesstoken",
        "api-key",
        "apikey",
        "api_key",
        "auth",
        "authorization",
        "bearer",
        "id_token",
        "jwt",
        "token",
    ];
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

fn is_secret_subprotocol(name: &str) -> bool {
    if announces_a_secret(name) {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    // `base64url.bearer.authorization.k8s.io.<token>`, `token.abc`, `Bearer-...`
    let says_so = [
        "bearer",
        "authorization",
        "token",
        "apikey",
        "api-key",
        "jwt",
    ]
    .iter()
    .any(|word| lower.contains(word) && lower.len() > word.len() + 1);
    says_so || looks_like_token(name)
}

/// Long, and made as only machines make: a JWT, or at least 20 characters of a
/// base64 or hex alphabet with letters and digits mixed.
///
/// Rationale: subprotocols and path parts that people name are shorter or have
/// few digits (`graphql-transport-ws`, `v1.kernel.websocket.jupyter.org`).
fn looks_like_token(word: &str) -> bool {
    if word.starts_with("eyJ") && word.len() >= 16 {
        return true;
    }
    let alphabet = |c: char| c.is_ascii_alphanumeric() || "-_.~+/=%:".contains(c);
    if word.len() < 20 || !word.chars().all(alphabet) {
        return false;
    }
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let longest_run = word
        .split(|c: char| !c.is_ascii_alphanumeric())
        .map(str::len)
        .max()
        .unwrap_or(0);
    digits * 12 >= word.len() && longest_run >= 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_parameters_lose_their_values_and_others_keep_them() {
        let shown = Secrets::Redacted.target("/ws?room=7&token=abc123&EIO=4&transport=websocket");
        assert_eq!(
            shown,
            "/ws?room=7&token=[redacted]&EIO=4&transport=websocket"
        );
    }

    #[test]
    fn parameters_of_the_path_and_the_fragment_are_parameters() {
        let target = "/chat;jsessionid=A1B2/room#token=c3d4";
        assert_eq!(
            Secrets::Redacted.target(target),
            "/chat;jsessionid=[redacted]/room#token=[redacted]"
        );
        assert_eq!(Secrets::Redacted.target("/a;v=1;/b#"), "/a;v=1;/b#");
    }

    #[test]
    fn a_jwt_is_hidden_wherever_it_stands() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln";
        assert_eq!(
            Secrets::Redacted.target(&format!("/ws/{jwt}")),
            "/ws/[redacted]"
        );
        assert_eq!(
            Secrets::Redacted.target(&format!("/ws?x={jwt}")),
            "/ws?x=[redacted]"
        );
        assert_eq!(Secrets::Redacted.subprotocol(jwt), "[redacted]");
        assert_eq!(
            Secrets::Redacted.text(&format!("bad token \"{jwt}\""), &[]),
            "bad token \"[redacted]\""
        );
    }

    #[test]
    fn names_of_real_subprotocols_stay() {
        for name in [
            "graphql-transport-ws",
            "v1.kernel.websocket.jupyter.org",
            "v12.stomp",
            "ocpp2.0.1",
            "wamp.2.msgpack.batched",
        ] {
            assert_eq!(Secrets::Redacted.subprotocol(name), name);
        }
    }

    #[test]
    fn credentials_of_an_absolute_target_are_hidden() {
        assert_eq!(
            Secrets::Redacted.target("ws://me:pw@host/ws"),
            "ws://[redacted]@host/ws"
        );
    }

    #[test]
    fn credentials_before_a_host_are_hidden() {
        let shown = |target| Secrets::Redacted.authority(target);
        assert_eq!(shown("me:pw@h.test:443"), "[redacted]@h.test:443");
        assert_eq!(shown("h.test:443"), "h.test:443");
    }

    #[test]
    fn an_echoed_secret_is_found_again() {
        let known = secrets_of(
            "/ws?token=hunter2",
            &[("Cookie".into(), "a=topsecret; b=2".into())],
        );
        let shown = Secrets::Redacted.text("token hunter2 for topsecret refused", &known);
        assert_eq!(shown, "token [redacted] for [redacted] refused");
    }

    #[test]
    fn what_follows_access_token_in_an_offer_is_the_token() {
        let offer = ["chat", "access_token", "hunter2", "v2.chat"];
        let shown = Secrets::Redacted.subprotocols(offer);
        assert_eq!(shown, ["chat", "access_token", "[redacted]", "v2.chat"]);
        assert_eq!(Secrets::Shown.subprotocols(offer), offer);
        let field = [(
            "Sec-WebSocket-Protocol".to_owned(),
            "bearer, hunter2".to_owned(),
        )];
        assert_eq!(secrets_of("/ws", &field), ["hunter2"]);
    }

    #[test]
    fn an_encoded_secret_is_found_again_decoded() {
        let known = secrets_of("/ws?token=top%2Fsecret%3D&key=100%", &[]);
        assert_eq!(known, ["top/secret=", "top%2Fsecret%3D", "100%"]);
    }

    #[test]
    fn shown_means_untouched() {
        assert_eq!(Secrets::Shown.target("/ws?token=a"), "/ws?token=a");
        assert_eq!(Secrets::Shown.header("Cookie", "a=b"), "a=b");
    }
}

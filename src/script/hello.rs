//! Messages of TLS for tests: just enough of them to be read.

/// A record of this content type.
pub(crate) fn record(content: u8, fragment: &[u8]) -> Vec<u8> {
    let len = u16::try_from(fragment.len()).expect("a record is short");
    let mut record = vec![content, 3, 3];
    record.extend(len.to_be_bytes());
    record.extend(fragment);
    record
}

/// A ClientHello that asks for no name.
pub(crate) fn client_hello() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([1; 32]);
    body.push(0);
    body.extend([0, 2, 0x13, 0x01, 1, 0, 0, 0]);
    record(22, &message(1, &body))
}

/// A ServerHello that chooses this version.
pub(crate) fn server_hello(version: u16) -> Vec<u8> {
    let [major, minor] = version.to_be_bytes();
    let mut body = vec![3, minor.min(3)];
    body.extend([2; 32]);
    body.push(0);
    let suite: [u8; 2] = if version == 0x0304 {
        [0x13, 0x01]
    } else {
        [0, 0x2f]
    };
    body.extend(suite);
    body.push(0);
    if version == 0x0304 {
        body.extend([0, 6, 0, 43, 0, 2, major, minor]);
    } else {
        body.extend([0, 0]);
    }
    record(22, &message(2, &body))
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).expect("a message is short");
    let [_, len @ ..] = len.to_be_bytes();
    let mut message = vec![kind];
    message.extend(len);
    message.extend(body);
    message
}

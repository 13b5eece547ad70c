//! Frames of HTTP/2, written by hand: no client library sends what an attacker does.

/// What a client begins with.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Without a setting.
pub(crate) const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
pub(crate) const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

const HEADERS: u8 = 1;
const RESET: u8 = 3;
const END_HEADERS: u8 = 4;
/// RST_STREAM: the caller lost interest.
const CANCEL: [u8; 4] = 8_u32.to_be_bytes();
const PATH: &str = "/ddprocmgr.v1.ProcessManagerService/ListProcesses";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    [&size[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header of the static table's name, or of `name` where that has none; nothing is compressed or remembered.
fn header(index: &[u8], name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap_or(0)], text.as_bytes()].concat();
    let name = if name.is_empty() { Vec::new() } else { text(name) };
    [index, &name, &text(value)].concat()
}

/// The beginning of a call of ListProcesses.
fn call(stream: u32) -> Vec<u8> {
    let block = [
        // POST over http.
        vec![0x83, 0x86],
        header(&[0x04], "", PATH),
        header(&[0x01], "", "localhost"),
        header(&[0x0f, 0x10], "", "application/grpc"),
        header(&[0x00], "te", "trailers"),
    ];
    frame(HEADERS, END_HEADERS, stream, &block.concat())
}

/// The n-th call of a connection, and its end before there can be an answer.
pub(crate) fn reset_call(number: u32, out: &mut Vec<u8>) {
    let stream = number * 2 + 1;
    out.extend(call(stream));
    out.extend(frame(RESET, 0, stream, &CANCEL));
}

/// A connection with a call that says that 60,000 bytes will follow.
pub(crate) fn begun_call() -> Vec<u8> {
    let size = [&[0][..], &60_000_u32.to_be_bytes()].concat();
    [PREFACE, &SETTINGS, &call(1), &data(&size)].concat()
}

/// Some of its bytes.
pub(crate) fn data(bytes: &[u8]) -> Vec<u8> {
    frame(0, 0, 1, bytes)
}

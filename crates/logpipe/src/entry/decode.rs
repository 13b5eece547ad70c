//! The receiving side of the native protocol, for tests and fuzz targets: written after the protocol's document, not
//! after the encoder.

pub(crate) type Fields = Vec<(String, Vec<u8>)>;

/// The entries of one datagram.
pub(crate) fn entries(mut data: &[u8]) -> Vec<Fields> {
    let mut all = Vec::new();
    let mut fields = Fields::new();
    while !data.is_empty() {
        if data[0] == b'\n' {
            data = &data[1..];
            all.extend((!fields.is_empty()).then(|| std::mem::take(&mut fields)));
            continue;
        }
        let end = data.iter().position(|b| *b == b'\n').expect("a field ends with a newline");
        match data[..end].iter().position(|b| *b == b'=') {
            Some(eq) => {
                fields.push((
                    String::from_utf8(data[..eq].to_vec()).expect("a key is text"),
                    data[eq + 1..end].to_vec(),
                ));
                data = &data[end + 1..];
            }
            None => {
                let key = String::from_utf8(data[..end].to_vec()).expect("a key is text");
                let (size, rest) = data[end + 1..].split_at(8);
                let size =
                    usize::try_from(u64::from_le_bytes(size.try_into().expect("8 bytes"))).expect("a size");
                assert_eq!(rest[size], b'\n', "{key}");
                fields.push((key, rest[..size].to_vec()));
                data = &rest[size + 1..];
            }
        }
    }
    all.extend((!fields.is_empty()).then_some(fields));
    all
}

/// One field's value, as text.
#[cfg(test)]
pub(crate) fn get(fields: &Fields, key: &str) -> String {
    let value = fields.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_slice()).unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}

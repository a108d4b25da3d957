//! Whether a payload is JSON text, as its media type says. It is checked and left as it is, byte for byte.

use serde::de::IgnoredAny;

/// What is wrong with a payload as JSON text (RFC 8259), and where. No tree is built.
pub(super) fn check(payload: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(payload).map_err(|error| refused(error.valid_up_to(), "it is not UTF-8"))?;
    if text.starts_with('\u{feff}') {
        return Err(refused(0, "it begins with a byte order mark; leave that out"));
    }
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(IgnoredAny) => Ok(()),
        Err(error) if error.is_eof() => Err(refused(text.len(), "it ends too early")),
        Err(error) => Err(refused(offset(text, error.line(), error.column()), "unexpected byte")),
    }
}

fn refused(offset: usize, problem: &str) -> String {
    format!("is not valid JSON, as its content type says: {problem}, at byte offset {offset}")
}

/// The offset of the byte that serde_json stumbled over. It counts lines from 1, and within a line the bytes up to that
/// one, which it includes for some errors and leaves out for others: what comes before it would do if more followed.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let lines_before = text.split_inclusive('\n').take(line.saturating_sub(1));
    let reached = lines_before.map(str::len).sum::<usize>() + column;
    let before = text.as_bytes().get(..reached).unwrap_or_default();
    match serde_json::from_slice::<IgnoredAny>(before) {
        Ok(IgnoredAny) => reached,
        Err(error) if error.is_eof() => reached,
        Err(_) => reached.saturating_sub(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_json_passes() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let valid =
            [r#"{"a":"\u0000 \ud800"}"#, "1e400", " null ", r#""é""#, r#"{"a":1,"a":2}"#, "-0.0", deep.as_str()];
        for text in valid {
            assert_eq!(check(text.as_bytes()), Ok(()), "{}", &text[..text.len().min(40)]);
        }
    }

    #[test]
    fn invalid_json_is_refused_with_its_byte_offset() {
        let cases: [(&[u8], usize); 14] = [
            (br#"{"a":NaN}"#, 5),
            (b"NaN", 0),
            (b"{\"a\":1,\n\"b\":x}", 12),
            (b"[1,]", 3),
            (b"{} x", 3),
            (b"[1", 2),
            (b"\"abc", 4),
            (b"", 0),
            (b"\"\x01\"", 1),
            (b"\"\xff\"", 1),
            (b"\xef\xbb\xbf{}", 0),
            (b"{'a':1}", 1),
            (b"01", 1),
            (b"[-Infinity]", 2),
        ];
        for (payload, offset) in cases {
            let refusal = check(payload).unwrap_err();
            assert!(refusal.ends_with(&format!("at byte offset {offset}")), "{payload:?}: {refusal}");
        }
    }
}

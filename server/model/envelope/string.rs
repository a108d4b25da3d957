//! Strings of JSON as ECMAScript's well-formed `JSON.stringify` writes them (ECMA-262, QuoteJSONString).
//!
//! Every value has one such form: escapes where they are needed, short where there are short ones, everything else
//! literally. A surrogate without its partner, which UTF-8 cannot say, stays an escape.

/// Appends `text` with its quotation marks.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_chars(out, text);
    out.push(b'"');
}

/// Appends the string that a token of JSON stands for, with quotation marks. `content` is the token without its own.
pub(super) fn push_token(out: &mut Vec<u8>, content: &str) {
    out.push(b'"');
    let mut rest = content;
    while let Some(at) = rest.find('\\') {
        push_chars(out, &rest[..at]);
        rest = push_escape(out, &rest[at + 1..]);
    }
    push_chars(out, rest);
    out.push(b'"');
}

/// The token at the beginning of `text` without its quotation marks, and what follows it.
pub(super) fn split_token(text: &str) -> (&str, &str) {
    let text = text.strip_prefix('"').unwrap_or(text);
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    let end = end.unwrap_or(text.len());
    (&text[..end], text.get(end + 1..).unwrap_or_default())
}

fn push_chars(out: &mut Vec<u8>, text: &str) {
    let mut copied = 0;
    for (at, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' | b'\\' => Some(byte),
            b'\x08' => Some(b'b'),
            b'\x0c' => Some(b'f'),
            b'\n' => Some(b'n'),
            b'\r' => Some(b'r'),
            b'\t' => Some(b't'),
            ..b' ' => None,
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[copied..at]);
        match short {
            Some(letter) => out.extend_from_slice(&[b'\\', letter]),
            None => push_unit(out, byte.into()),
        }
        copied = at + 1;
    }
    out.extend_from_slice(&text.as_bytes()[copied..]);
}

fn push_unit(out: &mut Vec<u8>, unit: u16) {
    out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
}

/// Appends what the escape stands for that begins after a backslash; returns what follows it.
fn push_escape<'a>(out: &mut Vec<u8>, text: &'a str) -> &'a str {
    if let Some((first, rest)) = text.strip_prefix('u').and_then(split_unit) {
        return push_units(out, first, rest);
    }
    let mut chars = text.chars();
    let meant = match chars.next() {
        Some('b') => '\x08',
        Some('f') => '\x0c',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some(itself) => itself,
        None => '\\',
    };
    push_char(out, meant);
    chars.as_str()
}

/// Appends the character that `first` is, or begins together with an escape that follows; or `first` alone.
fn push_units<'a>(out: &mut Vec<u8>, first: u16, rest: &'a str) -> &'a str {
    if let Some(meant) = char::from_u32(first.into()) {
        push_char(out, meant);
        return rest;
    }
    let pair = rest.strip_prefix("\\u").and_then(split_unit).and_then(|(second, rest)| {
        let meant = char::decode_utf16([first, second]).next()?.ok()?;
        Some((meant, rest))
    });
    match pair {
        Some((meant, rest)) => {
            push_char(out, meant);
            rest
        }
        None => {
            push_unit(out, first);
            rest
        }
    }
}

/// The four hexadecimal digits at the beginning of `text`, and what follows them.
fn split_unit(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u16::from_str_radix(digits, 16).ok()?, rest))
}

fn push_char(out: &mut Vec<u8>, char: char) {
    push_chars(out, char.encode_utf8(&mut [0; 4]));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> String {
        let mut out = Vec::new();
        push_text(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    fn token(content: &str) -> String {
        let mut out = Vec::new();
        push_token(&mut out, content);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_what_must_be_is_escaped_and_shortly_where_possible() {
        assert_eq!(text("a\"b\\c/d"), r#""a\"b\\c/d""#);
        assert_eq!(text("\x08\t\n\x0c\r"), r#""\b\t\n\f\r""#);
        assert_eq!(text("\0\x01\x0b\x1f"), r#""\u0000\u0001\u000b\u001f""#);
        assert_eq!(text("\x7f\u{80}é\u{2028}\u{2029}\u{feff}🐎"), "\"\x7f\u{80}é\u{2028}\u{2029}\u{feff}🐎\"");
    }

    #[test]
    fn a_token_is_written_as_the_string_it_stands_for() {
        assert_eq!(token(r"a\/b"), r#""a/b""#);
        assert_eq!(token(r"\u0061\u00E9\u00e9\u2028"), "\"aéé\u{2028}\"");
        assert_eq!(token(r#"\u0008\u0009\u000A\u000c\u000d\u0022\u005C\u001F"#), r#""\b\t\n\f\r\"\\\u001f""#);
        assert_eq!(token(r#"\b\t\n\f\r\"\\"#), r#""\b\t\n\f\r\"\\""#);
        assert_eq!(token(r"\\u0041"), r#""\\u0041""#);
    }

    #[test]
    fn surrogates_become_a_character_only_in_pairs() {
        assert_eq!(token(r"\uD83D\uDE00"), "\"😀\"");
        assert_eq!(token(r"\uD83D"), r#""\ud83d""#);
        assert_eq!(token(r"\uDE00\uD83D"), r#""\ude00\ud83d""#);
        assert_eq!(token(r"\uD83D\uD83D\uDE00\uDE00"), "\"\\ud83d😀\\ude00\"");
        assert_eq!(token(r"\uD83D\u0041"), r#""\ud83dA""#);
        assert_eq!(token(r"\uD83D\n"), r#""\ud83d\n""#);
        assert_eq!(token("\\uD83D😀"), "\"\\ud83d😀\"");
    }

    #[test]
    fn a_token_ends_at_the_first_quotation_mark_that_is_not_escaped() {
        assert_eq!(split_token(r#""a\"b\\":1"#), (r#"a\"b\\"#, ":1"));
        assert_eq!(split_token(r#""","#), ("", ","));
    }

    proptest! {
        #[test]
        fn any_text_is_written_as_json_that_reads_as_that_text(content in any::<String>()) {
            let written = text(&content);
            prop_assert_eq!(&serde_json::from_str::<String>(&written).unwrap(), &content);
            prop_assert_eq!(&serde_json::to_string(&content).unwrap(), &written);
            prop_assert_eq!(token(split_token(&written).0), written);
        }

        #[test]
        fn any_content_of_a_token_never_panics(content in r#"(\\|u|[dD][8-fF]|"|é|[0-9a-f+]|\PC){0,30}"#) {
            let once = token(&content);
            prop_assert!(once.starts_with('"'));
            split_token(&content);
        }
    }
}

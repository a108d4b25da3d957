//! Other bytes that may have been signed in the place of a body.

use std::{borrow::Cow, fmt};

use crate::model::envelope::{BodyForm, encode_form, signed_part, stable};

/// By how much a rewritten text may grow, so that thousands of nested brackets are not indented to gigabytes.
const GROWTH_MAX: usize = 16;

/// What else was signed than the bytes that were verified. Shown as a part of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyChange {
    /// The same JSON, written in another way.
    Reserialised {
        /// Its white space.
        layout: Layout,
        /// Its strings.
        strings: Strings,
    },
    /// The same JSON as ECMAScript's `JSON.stringify(JSON.parse(body))` writes it.
    Restringified,
    /// The JSON in the form that was verified.
    FormPayload,
    /// The form that carries the JSON that was verified.
    FormBytes,
    /// With a line end after it.
    LineEndAdded,
    /// Without the line end after it.
    LineEndRemoved,
    /// With CR LF for LF.
    CrLf,
    /// With LF for CR LF.
    Lf,
}

/// The white space of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As in the body.
    AsItIs,
    /// None.
    Compact,
    /// One space after each colon and comma.
    Spaced,
    /// A line for each value, indented by two spaces a level.
    Indented2,
    /// A line for each value, indented by four spaces a level.
    Indented4,
}

/// The strings of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strings {
    /// As in the body.
    AsTheyAre,
    /// Only what must be escaped is.
    Unescaped,
    /// All but ASCII is escaped.
    Ascii,
    /// All but ASCII is escaped, and slashes are.
    AsciiAndSlashes,
    /// `<`, `>` and `&` are escaped.
    Html,
}

impl fmt::Display for BodyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reserialised { layout, strings } => {
                let layout = match layout {
                    Layout::AsItIs => "",
                    Layout::Compact => ", without white space",
                    Layout::Spaced => ", with a space after each colon and comma",
                    Layout::Indented2 => ", indented by two spaces",
                    Layout::Indented4 => ", indented by four spaces",
                };
                let strings = match strings {
                    Strings::AsTheyAre => "",
                    Strings::Unescaped => ", with nothing escaped that need not be",
                    Strings::Ascii => ", with all but ASCII escaped",
                    Strings::AsciiAndSlashes => ", with slashes and all but ASCII escaped",
                    Strings::Html => ", with `<`, `>` and `&` escaped",
                };
                write!(
                    f,
                    "the same JSON re-serialised{layout}{strings}; verify the bytes that came, before parsing them"
                )
            }
            Self::Restringified => f.write_str(
                "the same JSON as `JSON.stringify(JSON.parse(body))` writes it; verify the bytes that came, before \
                 parsing them",
            ),
            Self::FormPayload => f.write_str("the JSON in the form's field `payload`, not the form"),
            Self::FormBytes => f.write_str("the form, not the JSON in its field `payload`"),
            Self::LineEndAdded => f.write_str("the body with a line end after it; something took it off"),
            Self::LineEndRemoved => f.write_str("the body without the line end after it; something added it"),
            Self::CrLf => f.write_str("the body with CR LF at its line ends; something made them LF"),
            Self::Lf => f.write_str("the body with LF at its line ends; something made them CR LF"),
        }
    }
}

/// Every change that makes a difference to `body`, with what comes of it, made one at a time.
pub(super) fn changes(body: &[u8]) -> impl Iterator<Item = (BodyChange, Cow<'_, [u8]>)> {
    let json = std::str::from_utf8(body).ok().filter(|text| is_json(text));
    let rewritten = json.into_iter().flat_map(|text| {
        forms().map(move |(layout, strings)| {
            (BodyChange::Reserialised { layout, strings }, rewrite(text, layout, strings).into_bytes().into())
        })
    });
    let restringified = json.and_then(|text| stable(text).ok()).map(|bytes| (BodyChange::Restringified, bytes.into()));
    let others = [
        (BodyChange::FormPayload, signed_part(BodyForm::FormPayload, body).ok()),
        (BodyChange::FormBytes, json.map(|text| encode_form(text.as_bytes()).into())),
        (BodyChange::LineEndAdded, Some([body, b"\n"].concat().into())),
        (BodyChange::LineEndAdded, Some([body, b"\r\n"].concat().into())),
        (BodyChange::LineEndRemoved, body.strip_suffix(b"\n").map(Cow::Borrowed)),
        (BodyChange::LineEndRemoved, body.strip_suffix(b"\r\n").map(Cow::Borrowed)),
        (BodyChange::CrLf, Some(with_cr(&without_cr(body)).into())),
        (BodyChange::Lf, Some(without_cr(body).into())),
    ];
    let others = others.into_iter().filter_map(|(change, bytes)| Some((change, bytes?)));
    // A line end that came or went at the end of JSON is told as such, not as JSON written anew.
    others.chain(rewritten).chain(restringified).filter(move |(_, bytes): &(_, Cow<'_, [u8]>)| **bytes != *body)
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

/// Fewest changes first, so that what is told is no more than what fits.
fn forms() -> impl Iterator<Item = (Layout, Strings)> {
    const LAYOUTS: [Layout; 5] =
        [Layout::AsItIs, Layout::Compact, Layout::Spaced, Layout::Indented2, Layout::Indented4];
    const STRINGS: [Strings; 5] =
        [Strings::AsTheyAre, Strings::Unescaped, Strings::Ascii, Strings::AsciiAndSlashes, Strings::Html];
    STRINGS.into_iter().flat_map(|strings| LAYOUTS.into_iter().map(move |layout| (layout, strings)))
}

fn without_cr(body: &[u8]) -> Vec<u8> {
    let next = body.iter().skip(1).map(Some).chain([None]);
    body.iter().zip(next).filter(|pair| *pair != (&b'\r', Some(&b'\n'))).map(|(byte, _)| *byte).collect()
}

fn with_cr(body: &[u8]) -> Vec<u8> {
    body.iter()
        .flat_map(|byte| if *byte == b'\n' { &b"\r\n"[..] } else { std::slice::from_ref(byte) })
        .copied()
        .collect()
}

/// Writes valid JSON in another way. Names keep their order and numbers their digits.
fn rewrite(text: &str, layout: Layout, strings: Strings) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let (mut rest, mut depth) = (text, 0_usize);
    while let Some(first) = rest.chars().next() {
        if out.len() / GROWTH_MAX > text.len() {
            break;
        }
        let len = if first == '"' { string_len(rest) } else { first.len_utf8() };
        let (token, after) = rest.split_at(len);
        rest = after;
        match first {
            '"' => push_string(&mut out, token, strings),
            ' ' | '\t' | '\r' | '\n' if layout != Layout::AsItIs => {}
            '{' | '[' => {
                out.push(first);
                let next = rest.trim_start_matches([' ', '\t', '\r', '\n']);
                if layout != Layout::AsItIs && next.starts_with(['}', ']']) {
                    out.push_str(&next[..1]);
                    rest = &next[1..];
                } else {
                    depth += 1;
                    break_line(&mut out, layout, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut out, layout, depth);
                out.push(first);
            }
            ',' => {
                out.push(',');
                out.push_str(if layout == Layout::Spaced { " " } else { "" });
                break_line(&mut out, layout, depth);
            }
            ':' => out.push_str(if matches!(layout, Layout::AsItIs | Layout::Compact) { ":" } else { ": " }),
            _ => out.push(first),
        }
    }
    out
}

fn break_line(out: &mut String, layout: Layout, depth: usize) {
    let indent = match layout {
        Layout::AsItIs | Layout::Compact | Layout::Spaced => return,
        Layout::Indented2 => "  ",
        Layout::Indented4 => "    ",
    };
    out.push('\n');
    out.extend(std::iter::repeat_n(indent, depth));
}

/// How long the string is that `text` begins with, both quotes included.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

fn push_string(out: &mut String, token: &str, strings: Strings) {
    // Half a surrogate pair is no text; such a string stays as it is.
    let plain = match strings {
        Strings::AsTheyAre => None,
        _ => serde_json::from_str::<String>(token).ok().and_then(|text| serde_json::to_string(&text).ok()),
    };
    let Some(plain) = plain else { return out.push_str(token) };
    for c in plain.chars() {
        let escape = match strings {
            Strings::AsTheyAre | Strings::Unescaped => false,
            Strings::Ascii => !c.is_ascii(),
            Strings::AsciiAndSlashes if c == '/' => {
                out.push('\\');
                false
            }
            Strings::AsciiAndSlashes => !c.is_ascii(),
            Strings::Html => matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}'),
        };
        if escape {
            let mut units = [0; 2];
            out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
}

//! A webhook on the screen: one line, and its body's beginning if that is wanted.

use std::fmt::Write;

use http::StatusCode;

use crate::{
    cli::{
        attempts::Attempt,
        terminal::{Palette, Tone, printable, size, time_of_day},
    },
    model::Timestamp,
    receiver::Webhook,
};

const ID_CHARS_MAX: usize = 64;
const TYPE_CHARS_MAX: usize = 64;
/// How much of a body is shown.
const BODY_BYTES_MAX: usize = 4096;
const BODY_LINES_MAX: usize = 40;
const LINE_CHARS_MAX: usize = 200;
const INDENT_MAX: usize = 20;

/// A webhook and what became of it.
pub(super) struct Shown {
    pub(super) time: Timestamp,
    pub(super) id: Option<String>,
    pub(super) webhook: Webhook,
    pub(super) verdict: Verdict,
    pub(super) status: StatusCode,
}

/// What verification said.
pub(super) enum Verdict {
    Verified {
        attempt: Attempt,
        /// The schemes, if there are several.
        by: Option<String>,
    },
    /// Why not.
    Refused(String),
}

impl Shown {
    pub(super) fn is_verified(&self) -> bool {
        matches!(self.verdict, Verdict::Verified { .. })
    }

    /// The lines to print, each with its end.
    pub(super) fn render(&self, palette: Palette, verbose: bool) -> String {
        let id = printable(self.id.as_deref().unwrap_or("-"), ID_CHARS_MAX);
        let kind = printable(self.webhook.header("tidings-event-type").unwrap_or("-"), TYPE_CHARS_MAX);
        let mut lines = format!(
            "{}  {}  {}  {}  {}\n",
            palette.paint(Tone::Faint, time_of_day(self.time)),
            palette.paint(Tone::Name, id),
            palette.paint(Tone::Strong, kind),
            size(self.webhook.body.len()),
            self.verdict(palette),
        );
        if verbose {
            push_body(&mut lines, &self.webhook.body, palette);
        }
        lines
    }

    fn verdict(&self, palette: Palette) -> String {
        let status = self.status.as_u16();
        match &self.verdict {
            Verdict::Refused(reason) => palette.paint(Tone::Bad, format!("refused ({status}): {reason}")).to_string(),
            Verdict::Verified { attempt: Attempt { number, fails }, by } => {
                let by = by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
                let again = if *number > 1 { format!(", attempt {number}") } else { String::new() };
                if *fails {
                    let text = format!("verified{by}, failed on purpose ({status}){again}");
                    palette.paint(Tone::Warning, text).to_string()
                } else {
                    format!("{}{by} ({status}){again}", palette.paint(Tone::Good, "verified"))
                }
            }
        }
    }
}

fn push_body(lines: &mut String, body: &[u8], palette: Palette) {
    let beginning = &body[..body.len().min(BODY_BYTES_MAX)];
    let text = String::from_utf8_lossy(beginning);
    // Only what is JSON as a whole is indented; anything else might be torn apart.
    let text = if serde_json::from_slice::<&serde_json::value::RawValue>(body).is_ok() {
        indent_json(&text)
    } else {
        text.into_owned()
    };
    let mut left = text.lines();
    for line in left.by_ref().take(BODY_LINES_MAX) {
        let _ = writeln!(lines, "    {}", printable(line, LINE_CHARS_MAX));
    }
    if left.next().is_some() || beginning.len() < body.len() {
        let _ = writeln!(lines, "    {}", palette.paint(Tone::Faint, format!("… of {}", size(body.len()))));
    }
}

/// Breaks JSON into indented lines and changes nothing else: names keep their order and numbers their digits. Takes the
/// beginning of a valid text, which may end anywhere.
fn indent_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            ' ' | '\t' | '\r' | '\n' => {}
            '{' | '[' => {
                out.push(c);
                while chars.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(close) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    break_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                break_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                in_string = c == '"';
                out.push(c);
            }
        }
    }
    out
}

fn break_line(out: &mut String, depth: usize) {
    out.push('\n');
    // Bounded, for the sake of what nests thousands deep.
    out.extend(std::iter::repeat_n("  ", depth.min(INDENT_MAX)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_without_changing_a_token() {
        let text = r#"{"b":1.0,"a":[ ],"c": {"s":"x,{\"}\\","n":[1e2,null]}}"#;
        let expected = "{\n  \"b\": 1.0,\n  \"a\": [],\n  \"c\": {\n    \"s\": \"x,{\\\"}\\\\\",\n    \"n\": [\n      \
                        1e2,\n      null\n    ]\n  }\n}";
        assert_eq!(indent_json(text), expected);
    }

    #[test]
    fn long_body_is_cut_and_says_so() {
        let mut lines = String::new();
        push_body(&mut lines, &[b'x'; BODY_BYTES_MAX + 1], Palette::plain());
        let lines: Vec<_> = lines.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].trim_start().chars().count(), LINE_CHARS_MAX);
        assert_eq!(lines[1], "    … of 4.0 KiB");
    }

    #[test]
    fn body_of_many_lines_is_cut() {
        let mut lines = String::new();
        push_body(&mut lines, "x\n".repeat(BODY_LINES_MAX + 1).as_bytes(), Palette::plain());
        assert_eq!(lines.lines().count(), BODY_LINES_MAX + 1);
        assert!(lines.ends_with("… of 82 B\n"), "{lines}");
    }

    #[test]
    fn body_cannot_steer_the_terminal() {
        let mut lines = String::new();
        push_body(&mut lines, b"\x1b[2J\xff", Palette::plain());
        assert_eq!(lines, "    \u{fffd}[2J\u{fffd}\n");
    }
}

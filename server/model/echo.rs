//! Repeating somebody's text in a message.

/// The longest piece of somebody's text that a message repeats, in characters.
const ECHO_CHARS_MAX: usize = 64;

/// Somebody's text as a message may repeat it: at most 64 characters, escaped.
pub fn echo(text: &str) -> String {
    let mut echoed: String = text.escape_debug().take(ECHO_CHARS_MAX).collect();
    if text.escape_debug().nth(ECHO_CHARS_MAX).is_some() {
        echoed.push('…');
    }
    echoed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echo_is_short_and_escaped() {
        assert_eq!(echo("a\r\n\u{202e}b"), "a\\r\\n\\u{202e}b");
        assert_eq!(echo(&"x".repeat(64)).chars().count(), 64);
        assert_eq!(echo(&"x".repeat(65)), format!("{}…", "x".repeat(64)));
    }
}

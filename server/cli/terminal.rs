//! Writing for people: colour where there is a terminal, plain text in a pipe.
//!
//! What comes from a peer passes through [`printable`] first, so that it cannot steer the terminal.

use std::{
    fmt::{self, Display},
    io::{self, IsTerminal},
};

use crate::model::Timestamp;

/// How text is set off. The terminal's own palette decides how that looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Good news.
    Good,
    /// Bad news.
    Bad,
    /// News to keep an eye on.
    Warning,
    /// A name or an id.
    Name,
    /// A heading or a figure.
    Strong,
    /// What may be overlooked.
    Faint,
}

impl Tone {
    /// The parameter of the SGR sequence (ECMA-48, section 8.3.117).
    fn code(self) -> u8 {
        match self {
            Self::Good => 32,
            Self::Bad => 31,
            Self::Warning => 33,
            Self::Name => 36,
            Self::Strong => 1,
            Self::Faint => 2,
        }
    }
}

/// Whether an output takes colour. Cheap to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    colour: bool,
}

impl Palette {
    /// For standard output.
    pub fn stdout() -> Self {
        Self::of(&io::stdout())
    }

    /// For standard error.
    pub fn stderr() -> Self {
        Self::of(&io::stderr())
    }

    /// No colour.
    pub const fn plain() -> Self {
        Self { colour: false }
    }

    /// Colour, whatever the output is.
    pub const fn coloured() -> Self {
        Self { colour: true }
    }

    /// Colour on a terminal, unless `NO_COLOR` (<https://no-color.org>) or `TERM=dumb` says otherwise.
    fn of(output: &impl IsTerminal) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self { colour: output.is_terminal() && !refused && !dumb }
    }

    /// Whether there is colour, and with it a terminal on which lines may be redrawn.
    pub fn is_coloured(self) -> bool {
        self.colour
    }

    /// Sets `text` off. Width and alignment in a format string apply to the text without its colour.
    pub fn paint<T: Display>(self, tone: Tone, text: T) -> Painted<T> {
        Painted { tone: self.colour.then_some(tone), text }
    }
}

/// Text that shows itself in its tone.
#[derive(Clone, Copy, Debug)]
pub struct Painted<T> {
    tone: Option<Tone>,
    text: T,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(tone) = self.tone else { return self.text.fmt(f) };
        write!(f, "\x1b[{}m", tone.code())?;
        self.text.fmt(f)?;
        f.write_str("\x1b[0m")
    }
}

/// Text from elsewhere, of at most `chars_max` characters (an ellipsis included) and with no power over the terminal.
pub fn printable(text: &str, chars_max: usize) -> String {
    let mut chars = text.chars().map(|c| if steers(c) { char::REPLACEMENT_CHARACTER } else { c });
    let mut shown: String = chars.by_ref().take(chars_max).collect();
    if chars.next().is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

/// Control characters, and those that change the direction of what follows (Unicode, UAX #9).
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The time of day, in UTC and to the millisecond: `14:03:07.250Z`.
pub fn time_of_day(time: Timestamp) -> String {
    let millis = time.as_micros().div_euclid(1_000).rem_euclid(86_400_000);
    let (secs, millis) = (millis / 1_000, millis % 1_000);
    format!("{:02}:{:02}:{:02}.{millis:03}Z", secs / 3_600, secs / 60 % 60, secs % 60)
}

/// A size for people: `312 B`, `1.5 KiB`, `3.0 MiB`.
pub fn size(bytes: usize) -> String {
    const KIB: usize = 1024;
    match bytes {
        0..KIB => format!("{bytes} B"),
        // Tenths in integers: exact, and never rounded up to the next unit.
        KIB..1_048_576 => format!("{}.{} KiB", bytes / KIB, bytes % KIB * 10 / KIB),
        1_048_576.. => format!("{}.{} MiB", bytes / (KIB * KIB), bytes % (KIB * KIB) * 10 / (KIB * KIB)),
    }
}

/// Prints a line on stdout at once, whatever stdout is. A reader that has gone is no concern of ours.
pub fn say(line: &str) {
    use std::io::Write as _;

    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_surrounds_padded_text() {
        let (plain, coloured) = (Palette::plain(), Palette::coloured());
        assert_eq!(format!("[{:<4}]", plain.paint(Tone::Good, "ok")), "[ok  ]");
        assert_eq!(format!("[{:<4}]", coloured.paint(Tone::Good, "ok")), "[\x1b[32mok  \x1b[0m]");
    }

    #[test]
    fn text_from_elsewhere_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[31mb\r\n\u{202e}c\u{9b}", 40), "a\u{fffd}[31mb\u{fffd}\u{fffd}\u{fffd}c\u{fffd}");
    }

    #[test]
    fn long_text_ends_in_an_ellipsis() {
        assert_eq!(printable("abcd", 4), "abcd");
        assert_eq!(printable("äöüßx", 4), "äöü…");
    }

    #[test]
    fn time_of_day_is_utc() {
        assert_eq!(time_of_day(Timestamp::from_micros(1_700_000_000_250_999)), "22:13:20.250Z");
        assert_eq!(time_of_day(Timestamp::from_micros(-1)), "23:59:59.999Z");
    }

    #[test]
    fn sizes_change_unit_at_powers_of_1024() {
        let shown: Vec<_> = [0, 1023, 1024, 1536, 1_048_575, 1_048_576].into_iter().map(size).collect();
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1023.9 KiB", "1.0 MiB"]);
    }
}

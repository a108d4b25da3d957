//! The catalogue as a table, page by page.

use std::io::{self, ErrorKind, Write};

use super::EventTypesError;
use crate::{
    cli::{
        call::ServerArgs,
        terminal::{Palette, Tone, printable},
    },
    proto::{EventType, ListEventTypesRequest},
};

/// The most that a page holds.
const PAGE_SIZE: i32 = 1_000;

/// A description has no more characters, what stands before it included.
const DESCRIPTION_CHARS_MAX: usize = 1_024 + DEPRECATED.len() + 1;

/// Stands before the description of a type that should no longer be published.
const DEPRECATED: &str = "(deprecated)";

/// The heading of the first column, and its least width.
const NAME: &str = "NAME";

/// Prints a tenant's catalogue, as long as somebody reads it.
pub(super) async fn run(
    server: &ServerArgs,
    tenant: &str,
    out: &mut impl Write,
    palette: Palette,
) -> Result<(), EventTypesError> {
    let mut client = server.client()?;
    let mut request =
        ListEventTypesRequest { tenant_id: tenant.to_owned(), page_size: PAGE_SIZE, ..Default::default() };
    loop {
        let answer = client.list_event_types(request.clone()).await;
        let page = answer.map_err(|status| server.failed(status))?.into_inner();
        match print(&page.event_types, request.page_token.is_empty(), out, palette) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            result => result?,
        }
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        request.page_token = page.next_page_token;
    }
}

/// Prints a page in columns as wide as it needs them.
fn print(types: &[EventType], first: bool, out: &mut impl Write, palette: Palette) -> io::Result<()> {
    let width = types.iter().map(|event_type| event_type.name.len()).chain([NAME.len()]).max().unwrap_or_default();
    if first {
        writeln!(out, "{}", palette.paint(Tone::Faint, format_args!("{NAME:width$}  DESCRIPTION")))?;
    }
    for EventType { name, description, deprecated, .. } in types {
        let name = format!("{:width$}", printable(name, width));
        // A line each, whatever line ends a description has.
        let deprecation = deprecated.then_some(DEPRECATED);
        let description = deprecation.into_iter().chain(description.split_whitespace()).collect::<Vec<_>>().join(" ");
        let line = format!("{}  {}", palette.paint(Tone::Name, name), printable(&description, DESCRIPTION_CHARS_MAX));
        writeln!(out, "{}", line.trim_end())?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(types: &[(&str, &str)], first: bool) -> String {
        let types: Vec<_> = types
            .iter()
            .map(|&(name, description)| EventType {
                name: name.to_owned(),
                description: description.to_owned(),
                ..EventType::default()
            })
            .collect();
        let mut out = Vec::new();
        print(&types, first, &mut out, Palette::plain()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_as_wide_as_the_longest_name() {
        assert_eq!(
            printed(&[("a", "A description"), ("user.created", "")], true),
            "NAME          DESCRIPTION\na             A description\nuser.created\n"
        );
        assert_eq!(printed(&[("a", "x")], false), "a     x\n");
        assert_eq!(printed(&[], true), "NAME  DESCRIPTION\n");
    }

    #[test]
    fn deprecated_types_are_marked() {
        let types = ["old", ""].map(|description| EventType {
            name: "a".to_owned(),
            description: description.to_owned(),
            deprecated: true,
            ..EventType::default()
        });
        let mut out = Vec::new();
        print(&types, false, &mut out, Palette::plain()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a     (deprecated) old\na     (deprecated)\n");
    }

    #[test]
    fn descriptions_take_one_line_and_cannot_steer_the_terminal() {
        assert_eq!(printed(&[("a", "one\n  two\r\n\x1b[31m")], false), "a     one two \u{fffd}[31m\n");
    }
}

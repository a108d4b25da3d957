//! Stable JSON: the text that ECMAScript's `JSON.stringify(JSON.parse(x))` makes of a JSON text, and of itself.
//!
//! For receivers that verify what they have parsed and written again. No value may change on the way, so a text that
//! means more than ECMAScript's values can hold has no such form. Nothing here recurses: a text may be nested as deeply
//! as it is long.

use super::{
    BodyNote,
    member_order::{Member, Moved, array_index, in_order},
    number::push_number,
    string::{push_token, split_token},
};

/// Writes `text`, which is valid JSON, in its stable form; or says which value would change by that.
pub(crate) fn stable(text: &str) -> Result<Vec<u8>, BodyNote> {
    let mut writer = Writer { out: Vec::with_capacity(text.len()), ..Writer::default() };
    let mut rest = text;
    while let Some(&byte) = rest.as_bytes().first() {
        rest = match byte {
            b' ' | b'\t' | b'\n' | b'\r' => &rest[1..],
            b'"' => {
                let (content, after) = split_token(rest);
                writer.string(content);
                after
            }
            b'{' | b'[' | b'}' | b']' | b',' | b':' => {
                writer.mark(byte)?;
                &rest[1..]
            }
            _ => {
                let (token, after) = split_scalar(rest);
                writer.scalar(token)?;
                after
            }
        };
    }
    Ok(in_order(writer.out, writer.moved))
}

/// The number, `true`, `false` or `null` at the beginning of `text`, and what follows it.
fn split_scalar(text: &str) -> (&str, &str) {
    let end = text.find(['{', '[', '}', ']', ',', ':', '"', ' ', '\t', '\n', '\r']).unwrap_or(text.len());
    text.split_at(end)
}

/// Writes every token in its stable form, members still as they stand in the text, and notes which of them move.
#[derive(Default)]
struct Writer {
    out: Vec<u8>,
    open: Vec<Open>,
    /// The members so far of all objects that are open, those of the innermost last.
    members: Vec<Member>,
    moved: Vec<Moved>,
}

enum Open {
    Array,
    Object {
        /// Where it begins in the output.
        start: usize,
        /// Its first member among those of all.
        first_member: usize,
    },
}

impl Writer {
    fn mark(&mut self, byte: u8) -> Result<(), BodyNote> {
        match byte {
            b'{' => self.open.push(Open::Object { start: self.out.len(), first_member: self.members.len() }),
            b'[' => self.open.push(Open::Array),
            b'}' | b']' => {
                if let Some(Open::Object { start, first_member }) = self.open.pop() {
                    self.close_object(start, first_member)?;
                }
            }
            _ => {}
        }
        self.out.push(byte);
        Ok(())
    }

    fn string(&mut self, content: &str) {
        let is_name = match self.out.last() {
            Some(b'{') => true,
            Some(b',') => matches!(self.open.last(), Some(Open::Object { .. })),
            _ => false,
        };
        let start = self.out.len();
        push_token(&mut self.out, content);
        if is_name {
            let name = start + 1..self.out.len() - 1;
            let index = array_index(&self.out[name.clone()]);
            self.members.push(Member { name, index });
        }
    }

    fn scalar(&mut self, token: &str) -> Result<(), BodyNote> {
        if token.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            return if push_number(&mut self.out, token) { Ok(()) } else { Err(BodyNote::NumberKept) };
        }
        self.out.extend_from_slice(token.as_bytes());
        Ok(())
    }

    fn close_object(&mut self, start: usize, first_member: usize) -> Result<(), BodyNote> {
        let members = &self.members[first_member..];
        // Equal names have one stable form, whatever their escapes were.
        let mut names: Vec<&[u8]> = members.iter().map(|member| &self.out[member.name.clone()]).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(BodyNote::RepeatedMemberKept);
        }
        self.moved.extend(Moved::of(start, self.out.len(), members));
        self.members.truncate(first_member);
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! Tables of few columns, as wide as what stands in them.

use std::io::{self, Write};

use super::terminal::{Palette, Tone};

/// Prints rows under a heading, each column as wide as its widest text but the last.
pub(super) fn print<const N: usize>(
    heading: [&str; N],
    rows: &[[String; N]],
    out: &mut impl Write,
    palette: Palette,
) -> io::Result<()> {
    let width = |column: usize| {
        let texts = rows.iter().map(|row| row[column].chars().count());
        texts.chain([heading[column].len()]).max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(|column| if column + 1 == N { 0 } else { width(column) });
    let line = |texts: [&str; N]| {
        let cells: Vec<String> = texts.iter().zip(widths).map(|(text, width)| format!("{text:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    writeln!(out, "{}", palette.paint(Tone::Faint, line(heading)))?;
    for row in rows {
        writeln!(out, "{}", line(row.each_ref().map(String::as_str)))?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_texts() {
        let rows = [["a", "äöü", "x"], ["bbb", "c", ""]].map(|row| row.map(str::to_owned));
        let mut out = Vec::new();
        print(["A", "LONG", "Z"], &rows, &mut out, Palette::plain()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "A    LONG  Z\na    äöü   x\nbbb  c\n");
    }
}

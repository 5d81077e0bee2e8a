//! Tables of the output: a header, columns as wide as their widest cell, two spaces between them.

use std::fmt::Write as _;

/// Alignment of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// For text.
    Left,
    /// For numbers.
    Right,
}

/// Table with the header of `columns`; an empty string if there are no rows.
pub(super) fn table<const N: usize>(columns: [(&str, Align); N], rows: Vec<[String; N]>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut lines = vec![columns.map(|(name, _)| name.to_owned())];
    lines.extend(rows);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).filter_map(width).collect();
    let mut text = String::new();
    for line in &lines {
        for (index, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let gap = if index == 0 { "" } else { "  " };
            // Writing to a String cannot fail.
            let _ = match columns[index].1 {
                Align::Left if index + 1 == N => write!(text, "{gap}{cell}"),
                Align::Left => write!(text, "{gap}{cell:<width$}"),
                Align::Right => write!(text, "{gap}{cell:>width$}"),
            };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["é", "1", "x"], ["long", "23456", "yy"]];
        let rows = rows.map(|row| row.map(str::to_owned)).to_vec();
        let columns = [
            ("N", Align::Left),
            ("SIZE", Align::Right),
            ("R", Align::Left),
        ];
        assert_eq!(
            table(columns, rows),
            "N      SIZE  R\né         1  x\nlong  23456  yy\n"
        );
        assert_eq!(table(columns, Vec::new()), "");
    }
}

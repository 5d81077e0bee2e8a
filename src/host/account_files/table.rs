//! An account file as a table: lines of fields, separated by colons.

use super::Refusal;

/// The lines of one file, without their newlines.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// Lines in the order of the file.
    pub(super) lines: Vec<Vec<u8>>,
    /// Whether an edit has changed them.
    pub(super) is_changed: bool,
}

impl Table {
    /// Parses the text of a file.
    pub(super) fn parse(text: &[u8]) -> Self {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
        Self {
            lines: if text.is_empty() {
                Vec::new()
            } else {
                lines.collect()
            },
            is_changed: false,
        }
    }

    /// Text, each line with its newline.
    pub(super) fn text(&self) -> Vec<u8> {
        let mut text = self.lines.join(&b'\n');
        if !text.is_empty() {
            text.push(b'\n');
        }
        text
    }

    /// Number of the line whose first field is `name`.
    ///
    /// # Errors
    /// Two lines have that name: the tools of shadow refuse such a file too.
    pub(super) fn row(&self, name: &str) -> Result<Option<usize>, Refusal> {
        let is_named = |(_, line): &(usize, &Vec<u8>)| field(line, 0) == name.as_bytes();
        let mut rows = self.lines.iter().enumerate().filter(is_named);
        let row = rows.next().map(|(row, _)| row);
        match rows.next() {
            None => Ok(row),
            Some(_) => Err(format!("there are two lines of `{name}`").into()),
        }
    }

    /// Number in field `at` of a line; `None` if it is no number.
    pub(super) fn number(&self, row: usize, at: usize) -> Option<u32> {
        std::str::from_utf8(field(&self.lines[row], at))
            .ok()?
            .parse()
            .ok()
    }

    /// Number of the line whose field `at` is the number `id`.
    pub(super) fn by_number(&self, at: usize, id: u32) -> Option<usize> {
        (0..self.lines.len()).find(|row| self.number(*row, at) == Some(id))
    }

    /// Sets field `at` of a line, with empty fields before it if it was shorter.
    pub(super) fn set(&mut self, row: usize, at: usize, value: &[u8]) {
        let line = &mut self.lines[row];
        let mut fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        fields.resize(fields.len().max(at + 1), b"");
        fields[at] = value;
        let changed = fields.join(&b':');
        self.is_changed |= *line != changed;
        *line = changed;
    }

    /// Adds a line, before the first line that includes accounts of NIS.
    pub(super) fn add(&mut self, fields: &[&[u8]]) {
        let is_of_nis = |line: &Vec<u8>| matches!(line.first(), Some(b'+' | b'-'));
        let end = self.lines.iter().position(is_of_nis);
        self.lines
            .insert(end.unwrap_or(self.lines.len()), fields.join(&b':'));
        self.is_changed = true;
    }

    /// Replaces the line of the name in the first field, or adds it.
    pub(super) fn put(&mut self, name: &str, fields: &[&[u8]]) -> Result<(), Refusal> {
        match self.row(name)? {
            Some(row) => {
                self.lines[row] = fields.join(&b':');
                self.is_changed = true;
            }
            None => self.add(fields),
        }
        Ok(())
    }

    /// Removes the line of `name`, if there is one.
    pub(super) fn remove(&mut self, name: &str) -> Result<(), Refusal> {
        if let Some(row) = self.row(name)? {
            self.lines.remove(row);
            self.is_changed = true;
        }
        Ok(())
    }

    /// Adds `user` to the comma-separated list in field `at`, or removes it.
    pub(super) fn set_member(&mut self, row: usize, at: usize, user: &str, is_member: bool) {
        let list = field(&self.lines[row], at).to_vec();
        let names = list.split(|byte| *byte == b',');
        let mut names: Vec<&[u8]> = names.filter(|name| !name.is_empty()).collect();
        let was_member = names.contains(&user.as_bytes());
        if was_member == is_member {
            return;
        }
        if is_member {
            names.push(user.as_bytes());
        } else {
            names.retain(|name| *name != user.as_bytes());
        }
        self.set(row, at, &names.join(&b','));
    }

    /// Whether `user` is in the comma-separated list in field `at`.
    pub(super) fn has_member(&self, row: usize, at: usize, user: &str) -> bool {
        field(&self.lines[row], at)
            .split(|byte| *byte == b',')
            .any(|name| name == user.as_bytes())
    }
}

/// Field `at` of a line; empty if the line has fewer.
pub(super) fn field(line: &[u8], at: usize) -> &[u8] {
    line.split(|byte| *byte == b':').nth(at).unwrap_or_default()
}

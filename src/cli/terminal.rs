//! Properties of the terminal.

use std::io::IsTerminal;

/// Whether a stream is a terminal, and NO_COLOR is unset or empty.
pub(crate) fn wants_color(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

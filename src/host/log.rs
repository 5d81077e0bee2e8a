//! The system log: one line for each change, so that it can be found later who made it.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::view::HostView;
use super::writer::Host;

/// Socket of syslog(3).
const LOG: &str = "/dev/log";
/// `LOG_AUTHPRIV | LOG_NOTICE` of syslog(3): accounts and logins concern security.
const PRIORITY: u8 = 10 << 3 | 5;
/// Content of `/proc/self/loginuid` for a process without a login.
const NOBODY: &str = "4294967295";
/// Most bytes of a text: a message of syslog(3) with more than that can be dropped.
const LIMIT: usize = 1024;

impl Host {
    /// Writes one line: control characters of `text` become blanks, so that no name in it begins
    /// another line, and a long text is cut. No error is returned: a log that is missing or does
    /// not read must not stop a run, and a host in a directory has none.
    pub fn log(&self, text: &str) {
        if !self.is_live() {
            return;
        }
        let Ok(socket) = UnixDatagram::unbound() else {
            return;
        };
        let who = HostView::new(Path::new("/proc"))
            .and_then(|proc| proc.read(Path::new("/self/loginuid"), 16))
            .ok()
            .flatten()
            .map(|uid| String::from_utf8_lossy(&uid).trim().to_owned())
            .filter(|uid| uid != NOBODY && !uid.is_empty());
        let by = who.map_or(String::new(), |uid| {
            format!(" (login of the user id {uid})")
        });
        let line = format!(
            "<{PRIORITY}>jailctl[{}]: {}{by}",
            std::process::id(),
            one_line(text)
        );
        // A full socket would make the caller wait for a log that may have stopped.
        let _ = socket
            .set_nonblocking(true)
            .and_then(|()| socket.send_to(line.as_bytes(), LOG).map(drop));
    }
}

/// The text as one line of at most [`LIMIT`] bytes.
fn one_line(text: &str) -> String {
    let mut ends = (0..=LIMIT.min(text.len())).rev();
    let end = ends.find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let cut = if end < text.len() { " ..." } else { "" };
    let blank = |letter: char| if letter.is_control() { ' ' } else { letter };
    text[..end].chars().map(blank).chain(cut.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_short_line() {
        assert_eq!(one_line("a\nb\u{1b}[1m"), "a b [1m");
        let long = one_line(&"\u{e4}".repeat(LIMIT));
        assert_eq!(long, format!("{} ...", "\u{e4}".repeat(LIMIT / 2)));
    }
}

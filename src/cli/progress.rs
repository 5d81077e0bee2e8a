//! Progress display on a terminal: shown after half a second, and cleared at the end.

use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal::wants_color;

/// Time before the display appears.
const DELAY: Duration = Duration::from_millis(500);
/// Interval of the spinner.
const TICK: Duration = Duration::from_millis(100);

/// Progress display of one operation. Dropping it clears the display.
#[derive(Debug)]
pub(crate) struct Progress {
    shown: Option<(Sender<String>, JoinHandle<()>)>,
}

impl Progress {
    /// Starts the display. Shows nothing if `is_hidden`, or if standard error is not a
    /// terminal.
    pub(crate) fn new(is_hidden: bool) -> Self {
        let stderr = std::io::stderr();
        let is_plain = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if is_hidden || is_plain || !stderr.is_terminal() {
            return Self { shown: None };
        }
        let template = if wants_color(&stderr) {
            "{spinner:.green} {wide_msg}"
        } else {
            "{spinner} {wide_msg}"
        };
        let (sender, messages) = channel();
        // Without the thread there is no display; the operation does not need it.
        let thread = std::thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || show(template, &messages));
        Self {
            shown: thread.ok().map(|thread| (sender, thread)),
        }
    }

    /// Sets the message.
    pub(crate) fn set(&self, what: impl Into<String>) {
        if let Some((sender, _)) = &self.shown {
            // The thread ends after its sender.
            let _ = sender.send(what.into());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.shown.take() {
            drop(sender);
            // The line has to be cleared before other output is printed.
            let _ = thread.join();
        }
    }
}

/// Shows the latest message after [`DELAY`], until the sender is dropped.
fn show(template: &str, messages: &Receiver<String>) {
    let started = Instant::now();
    let mut latest = String::new();
    loop {
        match messages.recv_timeout(DELAY.saturating_sub(started.elapsed())) {
            Ok(message) => latest = message,
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(latest);
    loop {
        bar.tick();
        match messages.recv_timeout(TICK) {
            Ok(message) => bar.set_message(message),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    bar.finish_and_clear();
}

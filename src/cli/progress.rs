//! What is being done, for somebody who waits at a terminal: shown when it takes longer than half a second, and gone when it is done.

use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{OutputOptions, wants_color};

/// How long somebody waits without a word.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often the sign of life moves.
const TICK: Duration = Duration::from_millis(100);

/// One piece of work that may take a while. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Progress {
    shown: Option<(Sender<String>, JoinHandle<()>)>,
}

impl Progress {
    /// Starts to wait. Shows nothing where nobody looks, or where less was asked for, or each step is told anyway.
    pub(crate) fn new(voice: OutputOptions) -> Self {
        let stderr = std::io::stderr();
        let is_plain = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if voice.quiet || voice.verbose || is_plain || !stderr.is_terminal() {
            return Self { shown: None };
        }
        let template = if wants_color(&stderr) {
            "{spinner:.green} {wide_msg}"
        } else {
            "{spinner} {wide_msg}"
        };
        let (sender, words) = channel();
        // Where there can be no thread, there is no sign of life; the work goes on.
        let thread = std::thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || show(template, &words));
        Self {
            shown: thread.ok().map(|thread| (sender, thread)),
        }
    }

    /// Says what is being done now.
    pub(crate) fn say(&self, what: impl Into<String>) {
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
            // What comes next on the terminal has to find the line cleared.
            let _ = thread.join();
        }
    }
}

/// Shows the last word that was said, once half a second has gone by, until there is nobody to say more.
fn show(template: &str, words: &Receiver<String>) {
    let begun = Instant::now();
    let mut said = String::new();
    loop {
        match words.recv_timeout(PATIENCE.saturating_sub(begun.elapsed())) {
            Ok(word) => said = word,
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(said);
    loop {
        bar.tick();
        match words.recv_timeout(TICK) {
            Ok(word) => bar.set_message(word),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    bar.finish_and_clear();
}

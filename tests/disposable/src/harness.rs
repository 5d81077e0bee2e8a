//! The test harness of tests that may turn out at run time not to be able to run.
//!
//! The harness of rustc decides at compile time what is ignored, so a test that returns early is
//! reported as passed. Here a test calls [`need_root`] or [`ignore`], and is reported as ignored,
//! with the reason. A test binary is declared with `harness = false` in `Cargo.toml`, has
//! `#[disposable::test]` for `#[test]`, and `fn main() -> ExitCode { disposable::harness::run() }`.
//! Filters, `--list`, `--exact`, `--skip` and `--test-threads` are those of `cargo test`.

use std::any::Any;
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::thread;

pub use inventory::submit;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// One registered test; `#[disposable::test]` creates it.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    module: &'static str,
    name: &'static str,
    function: fn(),
}

inventory::collect!(Test);

impl Test {
    /// The test `function`, called `name`, of the module with the path `module`.
    pub const fn new(module: &'static str, name: &'static str, function: fn()) -> Self {
        Self {
            module,
            name,
            function,
        }
    }

    /// The path of the function without the name of the crate, which filters are matched with.
    fn path(self) -> String {
        match self.module.split_once("::") {
            Some((_, module)) => format!("{module}::{}", self.name),
            None => self.name.to_owned(),
        }
    }

    /// Runs the function in a thread of its own, named after it: threads have their own
    /// namespaces, capabilities and root directory (unshare(2), capabilities(7)).
    fn run(self) -> Result<Completion, Failed> {
        let thread = thread::Builder::new()
            .name(self.path())
            .spawn(self.function)
            .map_err(|error| format!("could not start a thread: {error}"))?;
        match thread.join() {
            Ok(()) => Ok(Completion::Completed),
            Err(payload) => match payload.downcast::<Ignored>() {
                Ok(ignored) => Ok(Completion::ignored_with(ignored.0)),
                Err(payload) => Err(message(payload.as_ref()).into()),
            },
        }
    }
}

/// The panic payload of a test that cannot run.
struct Ignored(&'static str);

/// Ends the calling test, which is reported as ignored for this reason.
///
/// # Panics
///
/// Always, without a message: the unwinding ends the test. Only the thread of the test may call it.
pub fn ignore(reason: &'static str) -> ! {
    resume_unwind(Box::new(Ignored(reason)))
}

/// Ends the calling test as ignored, unless it runs as root.
///
/// # Panics
///
/// Without root, as [`ignore`].
pub fn need_root() {
    if let Err(reason) = crate::available() {
        ignore(reason);
    }
}

/// Runs the registered tests that the arguments of the process select. The exit status is that of
/// rustc's harness: 101 after a failure.
pub fn run() -> ExitCode {
    let mut tests: Vec<Test> = inventory::iter::<Test>.into_iter().copied().collect();
    tests.sort_by_key(|test| test.path());
    let trials = tests
        .into_iter()
        .map(|test| Trial::ignorable_test(test.path(), move || test.run()))
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The text of a panic.
fn message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("the test panicked")
        .to_owned()
}

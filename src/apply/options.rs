//! Options and callbacks of a run.

use crate::names::JailName;
use crate::plan::Step;

/// Options of a run that its plans do not contain.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Do not reload sshd.
    pub no_reload: bool,
}

/// Progress callback, called before each step.
pub(super) type OnStep<'f> = &'f mut dyn FnMut(&JailName, &Step);

//! Killing all processes of a jail under systemd, with or without limits: each session is a scope
//! in the slice of its jail, also that of a plain chroot.

use std::path::PathBuf;

use rustix::io::Errno;

use super::hierarchy::Hierarchies;
use super::kernel_file::{read_if_exists, write};
use super::systemd;
use crate::Error;

/// CPU weight of the slice of all jails while processes of a jail are killed: the default of
/// cgroups(7). A process needs CPU time to end, and 2,000 of them with a small weight take longer
/// than a removal waits.
const WEIGHT_TO_END: &str = "100";

/// The raised CPU weight of all jails. The weight before is set again when the value is dropped.
#[must_use = "the weight is set back when the value is dropped"]
#[derive(Debug)]
pub struct RaisedWeight(Option<(PathBuf, String)>);

impl Drop for RaisedWeight {
    fn drop(&mut self) {
        if let Some((file, before)) = self.0.take() {
            // The slice is removed after the last session.
            let _ = write(&file, before.trim());
        }
    }
}

/// Kills all processes in the slice of the jail in one write to `cgroup.kill` (Linux 5.14), which
/// no process escapes by forking, and lets them end with the CPU weight of other services.
///
/// Does nothing where systemd does not run the host, where the jail has no session, and before
/// Linux 5.14.
///
/// # Errors
/// [`Error::Unsupported`] if control groups of v1 are mounted beside v2 under systemd;
/// [`Error::System`].
pub fn kill_slice(jail: &str) -> Result<RaisedWeight, Error> {
    let hierarchies = Hierarchies::read()?;
    let Some(hierarchy) = systemd::hierarchy(&hierarchies)? else {
        return Ok(RaisedWeight(None));
    };
    let slice = systemd::directory(hierarchy, jail);
    let Some(all) = slice.parent() else {
        return Ok(RaisedWeight(None));
    };
    let file = all.join("cpu.weight");
    let raised = match read_if_exists(&file)? {
        Some(before) => {
            write(&file, WEIGHT_TO_END)?;
            RaisedWeight(Some((file, before)))
        }
        None => RaisedWeight(None),
    };
    match write(&slice.join("cgroup.kill"), "1") {
        Err(error) if !matches!(error.errno(), Some(Errno::NOENT | Errno::NODEV)) => Err(error),
        _ => Ok(raised),
    }
}

//! Check of `[limits]` against the host: a limit that it cannot enforce is an error, never ignored.

use std::path::Path;

use jailctl_session::cgroup;

use crate::error::{Error, Finding, Result};
use crate::host::HostView;
use crate::spec::{MountSource, SessionSpec, Spec};

/// Checks that this host can enforce each limit. Nothing is known about a host that is not running:
/// a session there is refused if it cannot.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the control groups cannot be read.
pub(super) fn check(
    spec: &Spec,
    session: &SessionSpec,
    view: &HostView,
    findings: &mut Vec<Finding>,
    notices: &mut Vec<String>,
) -> Result<()> {
    let Some(given) = &session.limits else {
        return Ok(());
    };
    if !view.is_live() {
        notices.push(
            "whether that host can enforce `[limits]` is not known until it runs: it refuses sessions if it cannot"
                .to_owned(),
        );
        return Ok(());
    }
    // Control groups are not known by inodes: this run is not cached.
    view.invalidate_access_log();
    let mounts = session.mounts.iter();
    let sources = mounts.filter_map(|mount| match &mount.source {
        MountSource::Host(source) => Some(source.value.as_path()),
        _ => None,
    });
    let places: Vec<&Path> = sources.chain([spec.root.value.as_path()]).collect();
    let lacks = cgroup::check(&given.values, &places).map_err(|error| {
        Error::failed("could not read the host's control groups").why(error.to_string())
    })?;
    for lack in lacks {
        findings.push(
            Finding::new(format!(
                "could not enforce `limits.{}` on this host",
                lack.key
            ))
            .why(lack.why)
            .with_span(given.span_of(lack.key), "required here")
            .hint(lack.hint),
        );
    }
    Ok(())
}

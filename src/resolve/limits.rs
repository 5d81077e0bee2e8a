//! `[limits]` against the host: what it could not keep is an error, and never silently less.

use std::path::Path;

use jailctl_session::cgroup;

use crate::error::{Error, Finding, Result};
use crate::host::HostView;
use crate::spec::{MountSource, SessionSpec, Spec};

/// Checks that this host can keep each limit. Of a host that does not run nothing can be known: a session there fails if it cannot.
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
            "whether that host can keep `[limits]` is not known before it runs: no session begins there if it cannot"
                .to_owned(),
        );
        return Ok(());
    }
    // What control groups there are no inode tells: this run is not remembered.
    view.invalidate_access_log();
    let mounts = session.mounts.iter();
    let sources = mounts.filter_map(|mount| match &mount.source {
        MountSource::Host(source) => Some(source.value.as_path()),
        _ => None,
    });
    let places: Vec<&Path> = sources.chain([spec.root.value.as_path()]).collect();
    let lacks = cgroup::check(&given.values, &places).map_err(|error| {
        Error::failed("could not look at the host's control groups").why(error.to_string())
    })?;
    for lack in lacks {
        findings.push(
            Finding::new(format!("`limits.{}` cannot be kept on this host", lack.key))
                .why(lack.why)
                .with_span(given.span_of(lack.key), "asked for here")
                .hint(lack.hint),
        );
    }
    Ok(())
}

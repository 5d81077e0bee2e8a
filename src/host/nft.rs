//! nft(8), as far as a build needs it: whether it would take a table.

use std::path::Path;

use jailctl_session::network::NFT;

use super::command::Invocation;
use super::view::HostView;
use crate::error::Result;

/// Where it is on the host.
pub fn find(view: &HostView) -> Result<Option<&'static str>> {
    for program in NFT {
        if view.stat(Path::new(program))?.is_some() {
            return Ok(Some(program));
        }
    }
    Ok(None)
}

/// Has nft judge `table`, and loads nothing. For the running system only.
pub fn check(program: &str, table: &str) -> Result<()> {
    Invocation::new(program)
        .args(["-c", "-f", "-"])
        .input(table)
        .check("have the rules of the jail's network accepted")
        .map(drop)
}

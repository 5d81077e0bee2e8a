//! nft(8): whether it accepts a table.

use std::path::Path;

use jailctl_session::network::NFT;

use super::command::Invocation;
use super::view::HostView;
use crate::error::Result;

/// Path of nft(8) on the host, if it exists.
///
/// # Errors
/// `Failed` if a path cannot be read.
pub fn find(view: &HostView) -> Result<Option<&'static str>> {
    for program in NFT {
        if view.stat(Path::new(program))?.is_some() {
            return Ok(Some(program));
        }
    }
    Ok(None)
}

/// Checks `table` with `nft --check`, which loads nothing. For the running system only.
///
/// # Errors
/// `Failed` if nft(8) does not accept the table, with its output.
pub fn check(program: &str, table: &str) -> Result<()> {
    Invocation::new(program)
        .args(["-c", "-f", "-"])
        .input(table)
        .check("verify the nft rules of the jail's network")
        .map(drop)
}

//! `enter`: a program in a jail.
use super::Report;
use crate::error::Result;
use clap::Args;
/// Arguments of `enter`.
#[derive(Debug, Args)]
pub(crate) struct Enter {}
impl Enter {
    pub(crate) fn run(self) -> Result<Report> {
        Ok(Report::default())
    }
}

//! `doctor`: why somebody cannot log in, or whether the host is fit for jails.

use std::path::Path;

use clap::Args;

use super::{CommandOutput, OutputOptions};
use crate::doctor::{diagnose, host_problems};
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::HostView;
use crate::show::doctor::{json, text};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// A user of a jail; without one, the host itself is looked at.
    user: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Status 1 where there is a reason.
    pub(crate) fn run(self, voice: OutputOptions) -> Result<CommandOutput> {
        // Account secrets, records and sshd's answers are root's to see; half of them would be a wrong answer.
        if !rustix::process::geteuid().is_root() {
            return Err(Error::failed("could not look at accounts and sshd")
                .why("only root may")
                .hint("run it with sudo"));
        }
        let view = HostView::new(Path::new("/"))?;
        let mut notices = Vec::new();
        let (about, fine, wrong, jail, reasons, outside) = match &self.user {
            None => {
                let reasons = host_problems(&view)?;
                (
                    "this host".to_owned(),
                    "fit for jails",
                    "not fit for jails",
                    None,
                    reasons,
                    Vec::new(),
                )
            }
            Some(user) => {
                let diagnosis = diagnose(&view, user)?.ok_or_else(|| {
                    Finding::new(format!("`{}` is no user of a jail", user.escape_debug()))
                        .why("no jail of this host records such an account")
                        .hint("`jailctl list` shows the jails with their users")
                })?;
                notices.extend(
                    (diagnosis.exposure.iter())
                        .map(|exposure| format!("the jail `{}` is {exposure}", diagnosis.jail)),
                );
                (
                    format!("{user} of the jail {}", diagnosis.jail),
                    "nothing keeps this user out",
                    "kept out",
                    Some(diagnosis.jail),
                    diagnosis.reasons,
                    diagnosis.outside,
                )
            }
        };
        let text = if self.json {
            let jail = jail.as_ref().map(crate::names::JailName::as_str);
            let all = [reasons.as_slice(), &outside].concat();
            format!("{}\n", json(self.user.as_deref(), jail, &all))
        } else {
            let mut page = text(&about, fine, wrong, &reasons, voice.paint);
            if !outside.is_empty() {
                page.push_str(&text(&about, "", "not held in", &outside, voice.paint));
            }
            page
        };
        Ok(CommandOutput {
            text,
            notices,
            code: if reasons.is_empty() && outside.is_empty() {
                0
            } else {
                ErrorKind::Negative as u8
            },
            ..CommandOutput::default()
        })
    }
}

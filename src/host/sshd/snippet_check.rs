//! Whether sshd starts with drop-ins, and confines accounts by them. Unlike a verification, no
//! connection is made: sshd itself may wait for the answer.

use super::config::Blocks;
use super::daemon::{Sshd, compare_settings, connection, settings};
use super::expected_settings::ExpectedSettings;
use crate::error::{Error, Finding, Result};

impl Sshd<'_> {
    /// The reason why sshd, with `drop_ins` in place of those it has, would not start or not
    /// confine the accounts of `expected`; `None` if it would do both. Lists of users and groups
    /// that refuse an account are no such reason.
    ///
    /// # Errors
    /// `Failed` if sshd cannot be run.
    pub fn objection(
        &self,
        drop_ins: &[(String, String)],
        blocks: &Blocks,
        expected: &[&ExpectedSettings],
    ) -> Result<Option<Finding>> {
        let mut questions = vec![vec!["-t".to_owned()]];
        let mut asked = Vec::new();
        for expectation in expected {
            for sample in blocks.samples(&expectation.user)? {
                let shown = connection(&expectation.user, &sample);
                questions.push(vec!["-T".to_owned(), "-C".to_owned(), shown.clone()]);
                asked.push((*expectation, shown));
            }
        }
        let (answers, _) = self.run_queries(Some(drop_ins), questions, None)?;
        if let Some(refusal) = answers.iter().find(|answer| answer.code != Some(0)) {
            let error: Error = refusal.into_error("start sshd with it", &self.program);
            return Ok(error.findings.into_iter().next());
        }
        let mut findings = Vec::new();
        for ((expectation, shown), answer) in asked.iter().zip(answers.iter().skip(1)) {
            compare_settings(expectation, &settings(&answer.stdout), shown, &mut findings);
        }
        Ok(findings.into_iter().next())
    }
}

//! What the checks find: that something is well, or what to do about it. Each finding is a line, printed as soon as it is known.

use crate::failure::{Failure, print};
use crate::text::{json_line, shown};
use serde::Serialize;
use std::fmt::{self, Display, Formatter};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing: `source`, `state`, …
    check: &'static str,
    /// Whether a job can do with it.
    ok: bool,
    /// What was found.
    found: String,
    /// What to do, where it is not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Finding {
    /// It is well.
    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Finding { check, ok: true, found: found.into(), fix: None }
    }

    /// It is not, and this is what to do.
    pub fn fix(check: &'static str, found: impl Display, fix: impl Into<String>) -> Self {
        Finding { check, ok: false, found: found.to_string(), fix: Some(fix.into()) }
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (word, found) = (if self.ok { "ok" } else { "fix" }, shown(&self.found));
        write!(f, "{word:4} {:13} {found}", self.check)?;
        self.fix.as_ref().map_or(Ok(()), |fix| write!(f, "; {}", shown(fix)))
    }
}

/// All findings of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether all is well.
    ok: bool,
    findings: Vec<Finding>,
    /// Whether all is printed at the end, as one object.
    #[serde(skip)]
    json: bool,
}

impl Report {
    /// One without any finding.
    pub fn new(json: bool) -> Self {
        Report { ok: true, findings: Vec::new(), json }
    }

    /// Adds a finding, and prints it.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn add(&mut self, finding: Finding) -> Result<(), Failure> {
        if !self.json {
            print(&format!("{finding}\n"))?;
        }
        self.ok &= finding.ok;
        self.findings.push(finding);
        Ok(())
    }

    /// The same with several.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_all(&mut self, findings: impl IntoIterator<Item = Finding>) -> Result<(), Failure> {
        findings.into_iter().try_for_each(|finding| self.add(finding))
    }

    /// Prints what is not printed yet.
    ///
    /// # Errors
    /// Something has to be mended, or standard output cannot be written.
    pub fn finish(self) -> Result<(), Failure> {
        if self.json {
            print(&json_line(&serde_json::to_string(&self).map_err(Failure::of)?))?;
        }
        let wrong = self.findings.iter().filter(|finding| !finding.ok).count();
        match (wrong, self.findings.len()) {
            (0, _) => Ok(()),
            (wrong, all) => Err(Failure::Failed(format!("{wrong} of {all} checks say what to fix"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_whatever_a_name_holds() {
        let ok = Finding::ok("source", "4 partitions");
        assert_eq!(ok.to_string(), "ok   source        4 partitions");
        let fix = Finding::fix("snapshots", "topk:\u{1b}[2J\nx is a string", "delete it");
        assert_eq!(fix.to_string(), "fix  snapshots     topk:\\u{1b}[2J\\u{a}x is a string; delete it");
    }
}

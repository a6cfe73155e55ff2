//! The report as one page that needs nothing else: to be read, printed and sent on.

use askama::Template;

use super::{Outcome, Report, Standing};

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'r> {
    report: &'r Report,
    reached: String,
}

impl Report {
    /// Chinese first, English second.
    pub fn html(&self) -> String {
        let reached = self.reached().map_or_else(|| "—".to_owned(), |level| level.to_string());
        Page { report: self, reached }.render().unwrap_or_default()
    }
}

/// The class of a row.
fn class_of(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed { .. } => "failed",
        Outcome::NotRun { .. } | Outcome::NotApplicable { .. } => "skipped",
    }
}

fn class_of_level(standing: &Standing) -> &'static str {
    match standing {
        Standing::Passed => "passed",
        Standing::Failed => "failed",
        Standing::Incomplete | Standing::NotAsked => "skipped",
    }
}

//! The report as JUnit XML, for whatever builds the adapter.

use std::fmt::Write as _;

use jiff::SignedDuration;

use super::{Outcome, Report, TrialReport};

impl Report {
    /// One suite for each level.
    pub fn junit(&self) -> String {
        let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
        let trials = || self.trials.iter();
        let _ = writeln!(
            xml,
            "<testsuites name=\"{}\" {} time=\"{}\">",
            escaped(&format!("{} {}", self.adapter, self.version)),
            counts(trials()),
            seconds(self.took),
        );
        for level in &self.levels {
            let of_level = || trials().filter(|trial| trial.level == level.level);
            if of_level().next().is_none() {
                continue;
            }
            let name = format!("{} {} {}", level.level, level.text.zh, level.text.en);
            let took = of_level().map(|trial| trial.took).sum();
            let _ = writeln!(
                xml,
                "  <testsuite name=\"{}\" {} timestamp=\"{}\" time=\"{}\">",
                escaped(&name),
                counts(of_level()),
                self.began,
                seconds(took),
            );
            of_level().for_each(|trial| case(&mut xml, trial));
            xml.push_str("  </testsuite>\n");
        }
        xml.push_str("</testsuites>\n");
        xml
    }
}

fn counts<'t>(trials: impl Iterator<Item = &'t TrialReport>) -> String {
    let (mut tests, mut failures, mut skipped) = (0, 0, 0);
    for trial in trials {
        tests += 1;
        match trial.outcome {
            Outcome::Passed => {}
            Outcome::Failed { .. } => failures += 1,
            Outcome::NotRun { .. } | Outcome::NotApplicable { .. } => skipped += 1,
        }
    }
    format!("tests=\"{tests}\" failures=\"{failures}\" skipped=\"{skipped}\"")
}

fn case(xml: &mut String, trial: &TrialReport) {
    let _ = write!(
        xml,
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{}\"",
        trial.level,
        escaped(&format!("{} {} | {}", trial.id, trial.text.zh, trial.text.en)),
        seconds(trial.took),
    );
    let inside = match &trial.outcome {
        Outcome::Passed => return xml.push_str("/>\n"),
        Outcome::NotRun { why } | Outcome::NotApplicable { why } => {
            format!("      <skipped message=\"{}\"/>\n", escaped(&format!("{} | {}", why.zh, why.en)))
        }
        Outcome::Failed { expected, came } => {
            let replay = trial.replay.as_deref().unwrap_or_default();
            let body = format!(
                "expected: {}\ncame: {}\nclause: {}\nreplay: {replay}",
                expected.en, came.en, trial.clause
            );
            let message = format!("{} | {}", expected.zh, expected.en);
            format!("      <failure message=\"{}\">{}</failure>\n", escaped(&message), escaped(&body))
        }
    };
    let _ = write!(xml, ">\n{inside}    </testcase>\n");
}

fn seconds(duration: SignedDuration) -> String {
    format!("{}.{:03}", duration.as_secs(), duration.subsec_millis())
}

/// For text and for attributes; what no XML can hold is a question mark.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => out.push(c),
            _ => out.push('?'),
        }
    }
    out
}

//! The trials on a terminal, as they are made.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use yizhan_contract::Text;

use super::{Outcome, Progress, Report, Standing, TrialReport};

/// Writes a line for each trial, and what failed in full. A terminal that is gone is written to no more.
#[derive(Debug)]
pub struct Terminal<W>(Mutex<W>);

impl<W: Write> Terminal<W> {
    pub fn of(out: W) -> Self {
        Self(Mutex::new(out))
    }

    fn write(&self, text: &str) {
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// What was written.
    pub fn into_inner(self) -> W {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write + Send> Progress for Terminal<W> {
    fn begins(&self, id: &str, text: &Text, number: usize, of: usize) {
        self.write(&format!("[{number}/{of}] {id} {} | {} … ", text.zh, text.en));
    }

    fn ended(&self, trial: &TrialReport) {
        let said = trial.outcome.text();
        let mut lines = format!("{} {} ({} ms)\n", said.zh, said.en, trial.took.as_millis());
        if let Outcome::Failed { expected, came } = &trial.outcome {
            let shown = [("应为", "expected", expected), ("实为", "came", came)];
            for (zh, en, text) in shown {
                lines.push_str(&format!("    {zh} {en}: {}\n", in_both(text)));
            }
            lines.push_str(&format!("    依据 clause: {}\n", trial.clause));
            if let Some(replay) = &trial.replay {
                lines.push_str(&format!("    重放 replay: {replay}\n"));
            }
        }
        if let Some(why) = trial.outcome.why() {
            lines.push_str(&format!("    {}\n", in_both(why)));
        }
        self.write(&lines);
    }

    fn finished(&self, report: &Report) {
        let mut lines = format!("\n{} {} ({})\n", report.adapter, report.version, report.target);
        for level in &report.levels {
            let (text, standing) = (&level.text, level.standing.text());
            let mark = if level.standing == Standing::Passed { "✓" } else { " " };
            lines.push_str(&format!(
                "  {mark} {} {} {}: {} {}\n",
                level.level, text.zh, text.en, standing.zh, standing.en
            ));
        }
        let at_once = report.at_once;
        lines.push_str(&format!(
            "并发评测同时至多 {at_once} 个请求 | side by side: {at_once} requests at most\n"
        ));
        let reached = report.reached().map_or_else(|| "—".to_owned(), |level| level.to_string());
        lines.push_str(&format!("达到等级 level reached: {reached}\n"));
        self.write(&lines);
    }
}

fn in_both(text: &Text) -> String {
    if text.zh == text.en { text.zh.to_string() } else { format!("{} | {}", text.zh, text.en) }
}

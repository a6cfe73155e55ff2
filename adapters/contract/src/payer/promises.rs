//! Whether an adapter's promises can be kept at all.

use super::{COMMIT_P95_MS_MAX, Manifest};
use crate::Text;

/// Characters of an adapter's name, and of its version.
const NAME_CHARS_MAX: usize = 80;

/// How long an answer about cover may be relied on.
const COVERAGE_VALID_S_MAX: u32 = 86_400;

impl Manifest {
    /// Whether what it promises can be kept at all, by any gateway.
    ///
    /// # Errors
    /// The first promise that cannot be: its name, and what it should be.
    pub fn check(&self) -> Result<(), (&'static str, Text)> {
        let is_name = |text: &str| {
            !text.trim().is_empty()
                && text.chars().count() <= NAME_CHARS_MAX
                && !text.chars().any(char::is_control)
        };
        for (key, text) in [("adapter", &self.adapter), ("version", &self.version)] {
            if !is_name(text) {
                let (zh, en) = (
                    format!("须为 1 至 {NAME_CHARS_MAX} 字"),
                    format!("must have 1 to {NAME_CHARS_MAX} characters"),
                );
                return Err((key, Text::new(zh, en)));
            }
        }
        if self.serves.is_empty() {
            return Err(("serves", Text::new("未承办任何支付方", "names no payer")));
        }
        for (nth, payer) in self.serves.iter().enumerate() {
            if self.serves[..nth].contains(payer) {
                return Err(("serves", Text::new(format!("{payer} 重复"), format!("names {payer} twice"))));
            }
        }
        if self.coverage_valid_s.is_some_and(|seconds| COVERAGE_VALID_S_MAX < seconds) {
            let (zh, en) = (
                format!("须不超过 {COVERAGE_VALID_S_MAX}（一天）"),
                format!("must be {COVERAGE_VALID_S_MAX} at most, a day"),
            );
            return Err(("coverage_valid_s", Text::new(zh, en)));
        }
        if self.concurrency_max == 0 {
            return Err(("concurrency_max", Text::new("须至少为 1", "must be at least 1")));
        }
        if self.requests_per_second_max == Some(0) {
            let text = Text::new("须至少为 1，不限则不填", "must be at least 1, or absent for no limit");
            return Err(("requests_per_second_max", text));
        }
        for (key, promised, most) in [
            ("quote_p95_ms", self.quote_p95_ms, self.quote_p95_ms_max()),
            ("commit_p95_ms", self.commit_p95_ms, COMMIT_P95_MS_MAX),
        ] {
            if !(1..=most).contains(&promised) {
                let zh = format!("须为 1 至 {most}：网关不会等得更久");
                return Err((key, Text::new(zh, format!("must be 1 to {most}: a gateway waits no longer"))));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_promised_is_named() {
        let good = || Manifest::cautious("acme", "1", vec!["supplementary".parse().unwrap()]);
        assert_eq!(good().check(), Ok(()));
        let all_there_is = Manifest { quote_p95_ms: 5_000, commit_p95_ms: 10_000, ..good() };
        assert_eq!(all_there_is.check(), Ok(()));
        let beside_cover = Manifest { quote_p95_ms: 2_500, coverage_valid_s: Some(60), ..good() };
        assert_eq!(beside_cover.check(), Ok(()));
        let twice = vec!["accident".parse().unwrap(), "accident".parse().unwrap()];
        for (manifest, named) in [
            (Manifest { adapter: " ".into(), ..good() }, "adapter"),
            (Manifest { version: "a\nb".into(), ..good() }, "version"),
            (Manifest { version: "1".repeat(NAME_CHARS_MAX + 1), ..good() }, "version"),
            (Manifest { serves: Vec::new(), ..good() }, "serves"),
            (Manifest { serves: twice, ..good() }, "serves"),
            (Manifest { coverage_valid_s: Some(COVERAGE_VALID_S_MAX + 1), ..good() }, "coverage_valid_s"),
            (Manifest { concurrency_max: 0, ..good() }, "concurrency_max"),
            (Manifest { requests_per_second_max: Some(0), ..good() }, "requests_per_second_max"),
            (Manifest { quote_p95_ms: 0, ..good() }, "quote_p95_ms"),
            (Manifest { quote_p95_ms: 5_001, ..good() }, "quote_p95_ms"),
            (Manifest { quote_p95_ms: 2_501, coverage_valid_s: Some(60), ..good() }, "quote_p95_ms"),
            (Manifest { commit_p95_ms: 0, ..good() }, "commit_p95_ms"),
            (Manifest { commit_p95_ms: 10_001, ..good() }, "commit_p95_ms"),
        ] {
            let (key, text) = manifest.check().unwrap_err();
            assert_eq!(key, named, "{text:?}");
        }
    }
}

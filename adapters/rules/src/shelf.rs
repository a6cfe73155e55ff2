//! Policies side by side: which one is in force where and when.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use sha2::{Digest, Sha256};
use yizhan_contract::Text;

use crate::check;
use crate::file::PolicyFile;
use crate::floors;
use crate::policy::Policy;
use crate::problem::{PolicyError, Problem, Problems};
use crate::toml_file::Mistake;

/// Policies a policy may extend, one after the other: county, prefecture, province and one to spare.
const PARENTS_MAX: usize = 4;
/// What to compare a file with that cannot be read.
const EXAMPLE: &str = "adapters/rules/policies/shandong-2020.toml";
/// Hex digits of the file's SHA-256 in a policy's label.
const LABEL_HASH_HEX: usize = 12;

/// The policies shipped with the gateway: file name and text.
pub const SHIPPED: &[(&str, &str)] = &[
    ("shandong-2014.toml", include_str!("../policies/shandong-2014.toml")),
    ("shandong-2019-first-half.toml", include_str!("../policies/shandong-2019-first-half.toml")),
    ("shandong-2019.toml", include_str!("../policies/shandong-2019.toml")),
    ("shandong-2020.toml", include_str!("../policies/shandong-2020.toml")),
    ("yishui-2017.toml", include_str!("../policies/yishui-2017.toml")),
];

/// Checked policies that do not contradict each other.
#[derive(Debug, Clone, Default)]
pub struct PolicyShelf {
    /// Longest region first.
    policies: Vec<Arc<Policy>>,
}

/// A file whose shape was read.
struct Read<'t> {
    file: &'t str,
    text: &'t str,
    raw: PolicyFile,
}

impl PolicyShelf {
    /// Reads policies from file names and texts. A file may extend any other of the same call.
    ///
    /// # Errors
    /// Every problem of every file: shape, figures, provincial floors, unknown parents, and two policies
    /// of one region that share a day.
    pub fn read<'t>(files: impl IntoIterator<Item = (&'t str, &'t str)>) -> Result<Self, PolicyError> {
        let mut problems = Vec::new();
        let mut read = Vec::new();
        for (file, text) in files {
            match written(text) {
                Ok(raw) => read.push(Read { file, text, raw }),
                Err(why) => {
                    let (file, key) = (file.into(), why.place.into());
                    problems.push(Problem { file, key, message: why.text, clause: None });
                }
            }
        }
        let mut policies = Vec::new();
        for index in 0..read.len() {
            match policy(&read, index) {
                Ok(policy) => policies.push(Arc::new(policy)),
                Err(mut found) => problems.append(&mut found),
            }
        }
        overlaps(&policies, &mut problems);
        if !problems.is_empty() {
            return Err(PolicyError { problems });
        }
        policies.sort_by(|a, b| b.region.len().cmp(&a.region.len()).then_with(|| a.label.cmp(&b.label)));
        Ok(Self { policies })
    }

    /// The policies in [`SHIPPED`].
    pub fn shipped() -> Result<Self, PolicyError> {
        Self::read(SHIPPED.iter().copied())
    }

    /// The policy of an insured region (six digits) for a discharge: longest region prefix first.
    pub fn find(&self, insured_region: &str, discharged: Date) -> Option<&Arc<Policy>> {
        let mut matching = self.policies.iter().filter(|policy| insured_region.starts_with(&*policy.region));
        matching.find(|policy| policy.holds_on(discharged))
    }

    /// What a person category is called: by the policy of the region and day, else by any that knows it, else
    /// by its code.
    pub fn category_name(&self, insured_region: &str, day: Date, code: &str) -> Text {
        let in_force = self.find(insured_region, day);
        let named = in_force.into_iter().chain(&self.policies).find_map(|policy| policy.category(code));
        named.map_or_else(|| Text::new(code, code), |category| category.name.clone())
    }

    /// Whether any policy in force on a day lists a kind of accident.
    pub fn lists_accident(&self, day: Date, kind: &str) -> bool {
        self.policies.iter().any(|policy| policy.holds_on(day) && policy.lists_accident(kind))
    }

    /// The policy of exactly this text.
    pub fn labelled(&self, label: &str) -> Option<&Arc<Policy>> {
        self.policies.iter().find(|policy| *policy.label == *label)
    }

    pub fn policies(&self) -> &[Arc<Policy>] {
        &self.policies
    }
}

/// All problems of a set of files; empty: they can be used.
pub fn problems<'t>(files: impl IntoIterator<Item = (&'t str, &'t str)>) -> Vec<Problem> {
    PolicyShelf::read(files).err().map(|error| error.problems).unwrap_or_default()
}

/// The file as its author wrote it, with its own clause beside everything it states.
fn written(text: &str) -> Result<PolicyFile, Mistake> {
    let read = toml::Deserializer::parse(text).map_err(|why| Mistake::no_toml(text, &why, EXAMPLE))?;
    let file: Result<PolicyFile, _> = serde_path_to_error::deserialize(read);
    match file {
        Ok(file) => Ok(file.stamped()),
        Err(why) => Err(Mistake::no_such_value(&why).in_line_of(text, why.inner())),
    }
}

/// Resolves inheritance, then checks. The label's hash runs over the file's text, then its parents'.
fn policy(read: &[Read<'_>], index: usize) -> Result<Policy, Vec<Problem>> {
    let own = &read[index];
    let mut problems = Problems::of(own.file);
    let mut raw = own.raw.clone();
    let mut texts: Vec<(Arc<str>, Arc<str>)> = vec![(own.file.into(), own.text.into())];
    let mut child = own;
    let mut parents = 0;
    while let Some(wanted) = &child.raw.extends {
        parents += 1;
        let named = |read: &&Read<'_>| {
            read.raw.name == *wanted || format!("{}@{}", read.raw.name, read.raw.from) == *wanted
        };
        let mut found = read.iter().filter(named);
        let (Some(parent), None) = (found.next(), found.next()) else {
            problems.add(
                "extends",
                format!("没有名为 {wanted} 的政策，或不止一个（可写作 名称@生效日）"),
                format!("there is not exactly one policy {wanted} (name, or name@from)"),
            );
            return Err(problems.found);
        };
        if parents > PARENTS_MAX {
            problems.add("extends", "继承层数过多或成环", "extends too many policies, or itself");
            return Err(problems.found);
        }
        raw.inherit_from(&parent.raw, &mut problems);
        texts.push((parent.file.into(), parent.text.into()));
        child = parent;
    }
    let mut hash = Sha256::new();
    texts.iter().for_each(|(_, text)| hash.update(text.as_bytes()));
    let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let digest = digest.get(..LABEL_HASH_HEX).unwrap_or(&digest);
    let label = format!("{}@{}#{digest}", raw.name, raw.from).into();
    let (policy, mut found) = check::check(&raw, own.file, label);
    problems.found.append(&mut found);
    if let Some(policy) = &policy {
        floors::check(policy, &mut problems);
    }
    match policy {
        Some(policy) if problems.found.is_empty() => Ok(Policy { texts, ..policy }),
        _ => Err(problems.found),
    }
}

/// Two policies of one region on one day: nobody could say which applies.
fn overlaps(policies: &[Arc<Policy>], problems: &mut Vec<Problem>) {
    let mut by_region: BTreeMap<&str, Vec<&Arc<Policy>>> = BTreeMap::new();
    for policy in policies {
        let earlier = by_region.entry(&policy.region).or_default();
        for other in earlier.iter().filter(|other| other.shares_a_day_with(policy)) {
            let mut found = Problems::of(&policy.file);
            found.add(
                "from",
                format!("与 {}（{}）的有效期重叠", other.label, other.file),
                format!("its period overlaps with {} ({})", other.label, other.file),
            );
            problems.append(&mut found.found);
        }
        earlier.push(policy);
    }
}

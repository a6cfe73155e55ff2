//! `yizhan policy check|explain|publish`: policies as files, read the way the gateway reads them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use yizhan_contract::{PayerCode, Text, counted};
use yizhan_rules::{Language, Policy, PolicyShelf, SHIPPED, explain, problems};

use super::{Exit, house};
use crate::telemetry;

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// 检查政策文件：格式、数字、省级底线、有效期重叠 | Check files: form, figures, floors, overlaps
    Check(Files),
    /// 用文字说明政策的每一项，附依据与出处 | Explain every term with its clause and source
    Explain {
        #[command(flatten)]
        files: Files,
        /// zh 或 en | zh or en
        #[arg(long, default_value = "zh", value_parser = ["zh", "en"])]
        lang: String,
    },
    /// 检查后放入政策文件夹，网关下次启动时生效 | Check, then put into the folder the gateway reads at start
    Publish {
        file: PathBuf,
        /// 政策文件夹（配置中的 policies）| The folder named `policies` in the configuration
        #[arg(long)]
        to: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct Files {
    /// 政策文件；不填则为随附的示例政策 | Policy files; none: those shipped
    files: Vec<PathBuf>,
}

pub(super) fn run(command: PolicyCommand) -> anyhow::Result<Exit> {
    match command {
        PolicyCommand::Check(files) => check(&files),
        PolicyCommand::Explain { files, lang } => {
            let shelf = shelf(&files.files)?;
            let language = if lang == "en" { Language::En } else { Language::Zh };
            for policy in shelf.policies() {
                super::say(&explain(policy, language));
            }
            Ok(Exit::Ok)
        }
        PolicyCommand::Publish { file, to } => publish(&file, &to),
    }
}

fn check(files: &Files) -> anyhow::Result<Exit> {
    let texts = texts(&files.files)?;
    let found = problems(pairs(&texts));
    for problem in &found {
        super::say(&problem.to_string());
    }
    if !found.is_empty() {
        super::say(&format!("{} 处问题 | {}", found.len(), counted(found.len(), "problem", "problems")));
        return Ok(Exit::Refused);
    }
    for policy in shelf(&files.files)?.policies() {
        super::say(&format!("ok  {}", policy.label()));
    }
    Ok(Exit::Ok)
}

/// The folder is checked as it would be with the new file, before anything is written.
fn publish(file: &Path, to: &Path) -> anyhow::Result<Exit> {
    let name = file.file_name().context("请给出政策文件 | name a policy file")?;
    let target = to.join(name);
    let mut files = house::toml_files_in(to)?;
    files.retain(|known| *known != target);
    files.push(file.to_owned());
    let texts = texts(&files)?;
    let found = problems(pairs(&texts));
    if !found.is_empty() {
        found.iter().for_each(|problem| super::say(&problem.to_string()));
        return Ok(Exit::Refused);
    }
    let text = fs::read(file).map_err(|why| house::unusable(file, &why))?;
    let draft = to.join(format!(".{}.new", name.to_string_lossy()));
    fs::write(&draft, text).map_err(|why| house::unusable(&draft, &why))?;
    fs::rename(&draft, &target).map_err(|why| house::unusable(&target, &why))?;
    super::say(&format!("已发布 {} | published; the gateway reads it at its next start", target.display()));
    Ok(Exit::Ok)
}

/// Policies from files, or those shipped with the gateway.
pub(super) fn shelf(files: &[PathBuf]) -> anyhow::Result<PolicyShelf> {
    if files.is_empty() {
        return Ok(PolicyShelf::shipped()?);
    }
    let texts = texts(files)?;
    Ok(PolicyShelf::read(pairs(&texts))?)
}

/// Policies given stand alone; one that builds on a shipped policy brings those along.
pub(super) fn given(files: &[PathBuf]) -> anyhow::Result<PolicyShelf> {
    if files.is_empty() {
        return shelf(&[]);
    }
    shelf(files).or_else(|alone| shelf_with_shipped(files).map_err(|_| alone))
}

/// Policies from files, together with those shipped that do not contradict them.
pub(super) fn shelf_with_shipped(files: &[PathBuf]) -> anyhow::Result<PolicyShelf> {
    let given = texts(files)?;
    let shipped = SHIPPED.iter().copied();
    Ok(PolicyShelf::read(shipped.chain(pairs(&given)))?)
}

fn texts(files: &[PathBuf]) -> anyhow::Result<Vec<(String, String)>> {
    if files.is_empty() {
        return Ok(SHIPPED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect());
    }
    let read = |file: &PathBuf| Ok((file.display().to_string(), house::text_of(file)?));
    files.iter().map(read).collect()
}

fn pairs(texts: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    texts.iter().map(|(name, text)| (name.as_str(), text.as_str()))
}

/// Every payer that any of the policies may ask.
pub(super) fn payers(policies: &[Arc<Policy>]) -> Vec<PayerCode> {
    let mut payers: Vec<_> =
        policies.iter().flat_map(|policy| policy.payers().map(|payer| payer.code.clone())).collect();
    payers.sort();
    payers.dedup();
    payers
}

/// What every payer of the policies is called, by the newest that knows it.
pub(super) fn payer_names(shelf: &PolicyShelf) -> BTreeMap<PayerCode, Text> {
    let rules = shelf.policies().iter().flat_map(|policy| policy.payers());
    rules.map(|rule| (rule.code.clone(), rule.name.clone())).collect()
}

/// What a payer is called, by the newest shipped policy that knows it; else its code.
pub(super) fn payer_name(shelf: &PolicyShelf, code: &str) -> Text {
    let rules = shelf.policies().iter().rev().flat_map(|policy| policy.payers());
    let named = rules.into_iter().find(|rule| rule.code.as_str() == code);
    named.map_or_else(|| Text::new(code, code), |rule| rule.name.clone())
}

/// A policy that nobody attested prints 示例参数 on every bill; the operator is told once at the start.
pub(super) fn warn_of_samples(shelf: &PolicyShelf) {
    for policy in shelf.policies().iter().filter(|policy| policy.attested_by().trim().is_empty()) {
        telemetry::policy_is_sample(&policy.label());
    }
}

/// A folder given without any policy is a mistake worth stopping for.
pub(super) fn shelf_of_folder(folder: &Path) -> anyhow::Result<PolicyShelf> {
    let files = house::toml_files_in(folder)?;
    if files.is_empty() {
        bail!(
            "文件夹 {folder} 中没有政策文件（*.toml）| no policy file (*.toml) in {folder}",
            folder = folder.display()
        );
    }
    shelf(&files)
}

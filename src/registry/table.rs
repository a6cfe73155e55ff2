//! Who is asked from now on: every adapter as it stands, put where settlements look.

use std::collections::BTreeSet;
use std::sync::Arc;

use yizhan_contract::{PayerCode, Text};
use yizhan_rules::toml_file::Mistake;

use super::attested::Proof;
use super::watched::{Terms, Watch};
use super::{Good, Registry};
use crate::settlement::absent::Absent;
use crate::settlement::directory::{Mode, Otherwise, Registered};
use crate::settlement::payers::Adapter;
use crate::telemetry;

impl Registry {
    /// As it would stand together with others; absent: it has not said what it is, and is asked for nothing yet.
    pub(super) fn known(&self, good: &Good) -> Option<Registered> {
        let payer = good.reach.known()?;
        let adapter = Adapter { name: Arc::clone(&good.file.name), payer, serves: good.serves.clone() };
        let (mode, otherwise) = (good.file.mode.clone(), good.file.otherwise);
        Some(Registered { adapter, mode, otherwise, fallen: None, unproven: None })
    }

    /// What is so from now on.
    pub(super) fn put(&mut self) {
        let good: Vec<Good> = self.good().cloned().collect();
        let (mut registered, proofs): (Vec<Registered>, Vec<Option<Proof>>) =
            good.iter().map(|good| self.registered(good)).unzip();
        let mut notes: Vec<Text> = self.notes(&registered, &proofs);
        let is_there = |name: &Arc<str>| good.iter().any(|good| good.file.name == *name);
        let missing: BTreeSet<Arc<str>> =
            self.setting.given.values().filter(|name| !is_there(name)).cloned().collect();
        for name in missing {
            let serves: Vec<PayerCode> = self.given_to(&name).cloned().collect();
            notes.push(Text::new(
                format!("适配器 {name} 未配置"),
                format!("adapter {name} is not configured"),
            ));
            let payer = Arc::new(Absent::not_configured(&name, serves.clone()));
            let adapter = Adapter { name, payer, serves };
            let (mode, otherwise) = (Mode::Primary, Otherwise::Rules);
            registered.push(Registered { adapter, mode, otherwise, fallen: None, unproven: None });
        }
        // Every payer is given to one name, and every name is one file's.
        if let Err(why) = self.directory.put(&registered, notes) {
            telemetry::adapter_not_taken(&self.setting.folder.display(), &why.text().en);
        }
    }

    fn registered(&mut self, good: &Good) -> (Registered, Option<Proof>) {
        let name = &good.file.name;
        let proof = self.proof(good);
        self.tell_proof(name, proof.as_ref());
        let unproven = match &proof {
            Some(Proof::Unproven(_, unproven)) => Some(unproven.why.clone()),
            Some(Proof::Vouched(_)) | None => None,
        };
        let watch = self.watch(name);
        watch.go_by(Terms { limits: good.file.budget, may_fall: matches!(&proof, Some(Proof::Vouched(_))) });
        let fallen = watch.fallen().map(|fallen| fallen.why);
        let payer = good.reach.payer(name, &good.serves, watch);
        let adapter = Adapter { name: Arc::clone(name), payer, serves: good.serves.clone() };
        let (mode, otherwise) = (good.file.mode.clone(), good.file.otherwise);
        (Registered { adapter, mode, otherwise, fallen, unproven }, proof)
    }

    pub(super) fn watch(&mut self, name: &Arc<str>) -> Arc<Watch> {
        let (host, falling) = (&self.shared.host, &self.falling);
        let watch = self.watches.entry(Arc::clone(name));
        let new = || Arc::new(Watch::new(Arc::clone(name), Arc::clone(host), Arc::clone(falling)));
        Arc::clone(watch.or_insert_with(new))
    }

    fn notes(&self, registered: &[Registered], proofs: &[Option<Proof>]) -> Vec<Text> {
        let fallen = registered.iter().filter_map(|one| {
            let (name, why) = (&one.adapter.name, one.fallen.as_ref()?);
            Some(of_adapter(name, why))
        });
        let unproven = proofs.iter().filter_map(|proof| match proof {
            Some(Proof::Unproven(name, unproven)) => Some(of_adapter(name, &unproven.text())),
            Some(Proof::Vouched(_)) | None => None,
        });
        let mistakes = self.entries.iter().flat_map(|(path, entry)| {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            entry.wrong().map(move |Mistake { place, text }| {
                Text::new(
                    format!("{file}：{place}：{}；仍按原有效内容运行", text.zh),
                    format!("{file}: {place}: {}; what was good before stays", text.en),
                )
            })
        });
        fallen.chain(unproven).chain(mistakes).collect()
    }
}

fn of_adapter(name: &str, why: &Text) -> Text {
    Text::new(format!("适配器 {name}：{}", why.zh), format!("adapter {name}: {}", why.en))
}

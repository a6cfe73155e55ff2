//! In which order payers commit, and which chains could not be settled safely.

use std::sync::Arc;

use yizhan_contract::payer::Manifest;
use yizhan_contract::{PayerCode, Text};

/// Waves of the calls of one settlement, given their manifests in the order of the chain: payers without firm
/// quotes one by one, then firm ones that can be taken back side by side, one that cannot be last and alone.
pub fn waves(manifests: &[&Manifest]) -> Vec<u8> {
    let is_loose = |manifest: &&&Manifest| !manifest.quotes_are_firm;
    let loose = u8::try_from(manifests.iter().filter(is_loose).count()).unwrap_or(u8::MAX);
    let mut next = 0_u8;
    let wave = |manifest: &&Manifest| match (manifest.quotes_are_firm, manifest.reverse_window_s) {
        (false, _) => {
            next = next.saturating_add(1);
            next - 1
        }
        (true, Some(_)) => loose,
        (true, None) => loose.saturating_add(1),
    };
    manifests.iter().map(wave).collect()
}

/// Why a chain cannot be settled all or none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    #[error("{first} and {second} cannot be reversed: where the second refuses, the first stays paid")]
    TwoIrreversible { first: Arc<str>, second: Arc<str> },
    #[error(
        "{0} has no firm quotes and cannot be reversed: where its amount moves, nothing can be taken back"
    )]
    LooseIrreversible(Arc<str>),
    #[error("{adapter} serves {payer}, which is not next to its other payers in the chain")]
    NotConsecutive { adapter: Arc<str>, payer: PayerCode },
    #[error(
        "{adapter} is optional and {payer} behind it is not: where {adapter} is deferred, {payer} would be computed on an \
         amount that may still move; make {adapter} required, or put its payers last"
    )]
    OptionalBeforeOthers { adapter: Arc<str>, payer: PayerCode },
}

impl Impossible {
    /// The same for the operator, in both languages.
    pub fn text(&self) -> Text {
        let zh = match self {
            Self::TwoIrreversible { first, second } => {
                format!("{first} 与 {second} 均不支持撤销：后者拒绝时，前者已付的款项无法退回")
            }
            Self::LooseIrreversible(adapter) => {
                format!("{adapter} 的试算金额不固定且不支持撤销：金额变动时无法退回")
            }
            Self::NotConsecutive { adapter, payer } => {
                format!("{adapter} 承办的 {payer} 与其其他支付方在付款顺序中不相邻")
            }
            Self::OptionalBeforeOthers { adapter, payer } => format!(
                "{adapter} 为可选支付方，其后的 {payer} 却不可延后：{adapter} 延后支付时，{payer} 的计算基数尚未确定；\
                 请将 {adapter} 设为必需，或将其支付方排在最后"
            ),
        };
        Text::new(zh, self.to_string())
    }
}

/// Checks one order of payers against the adapters that serve it.
///
/// # Errors
/// What makes it impossible to commit all payers or none.
pub fn check<'a>(
    order: &[PayerCode],
    adapters: impl IntoIterator<Item = (&'a Arc<str>, &'a Manifest)> + Clone,
) -> Result<(), Impossible> {
    check_tail(order, adapters.clone())?;
    let mut irreversible: Option<&Arc<str>> = None;
    for (adapter, manifest) in adapters {
        let mut places: Vec<usize> =
            manifest.serves.iter().filter_map(|code| order.iter().position(|other| other == code)).collect();
        places.sort_unstable();
        let Some((first, rest)) = places.split_first() else { continue };
        if let Some((_, stray)) = rest.iter().enumerate().find(|(nth, place)| **place != first + nth + 1) {
            let payer = order[*stray].clone();
            return Err(Impossible::NotConsecutive { adapter: Arc::clone(adapter), payer });
        }
        if manifest.reverse_window_s.is_some() {
            continue;
        }
        if !manifest.quotes_are_firm {
            return Err(Impossible::LooseIrreversible(Arc::clone(adapter)));
        }
        if let Some(first) = irreversible.replace(adapter) {
            return Err(Impossible::TwoIrreversible {
                first: Arc::clone(first),
                second: Arc::clone(adapter),
            });
        }
    }
    Ok(())
}

/// Payers that may be deferred are the last ones: nobody is computed on what they still may pay.
fn check_tail<'a>(
    order: &[PayerCode],
    adapters: impl IntoIterator<Item = (&'a Arc<str>, &'a Manifest)>,
) -> Result<(), Impossible> {
    let optional: Vec<_> = adapters.into_iter().filter(|(_, manifest)| manifest.optional).collect();
    let deferrable =
        |code: &PayerCode| optional.iter().find(|(_, manifest)| manifest.serves.contains(code)).copied();
    let Some((first, (adapter, _))) =
        order.iter().enumerate().find_map(|(nth, code)| Some((nth, deferrable(code)?)))
    else {
        return Ok(());
    };
    match order.iter().skip(first).find(|code| deferrable(code).is_none()) {
        None => Ok(()),
        Some(payer) => {
            Err(Impossible::OptionalBeforeOthers { adapter: Arc::clone(adapter), payer: payer.clone() })
        }
    }
}

//! From charge lines to buckets (SETTLEMENT §2).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use yizhan_contract::stay::{CatalogueClass, Line};
use yizhan_contract::{
    Buckets, ChargeError, ClaimLine, Exact, Finding, Money, NumberError, Ratio, Text, UnitPrice,
};

use crate::findings;

/// What the catalogue (目录) says of an item on the discharge date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub name: Arc<str>,
    pub class: CatalogueClass,
    pub category: Option<Arc<str>>,
    /// Class B: the share the patient pays first (先行自付).
    pub upfront_ratio: Option<Ratio>,
    /// Yuan a fund accepts for one unit.
    pub ceiling: Option<UnitPrice>,
}

/// A stay's lines, each with its buckets, and their sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    pub buckets: Buckets,
    /// In the order of the message.
    pub lines: Vec<ClaimLine>,
    /// Sums of the lines as they are. Where the rounding of credits left a bucket below zero, `buckets` is
    /// repaired and these are not: they may differ by 0.01 per credit line.
    pub by_category: Vec<CategoryTotal>,
    pub findings: Vec<Finding>,
}

/// The lines of one category together; without a category last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryTotal {
    pub category: Option<Arc<str>>,
    pub lines: u32,
    #[serde(rename = "amounts")]
    pub buckets: Buckets,
}

/// The part of a line that is wrong, under its name in the normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineField {
    Id,
    Amount,
    Quantity,
    CreditOf,
}

impl LineField {
    pub fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Amount => "amount",
            Self::Quantity => "quantity",
            Self::CreditOf => "credit_of",
        }
    }
}

/// Why charges cannot be assessed; always the sender's side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssessError {
    /// `line` is the line's id, by which the sender finds it again.
    #[error("line {line}, {}: {why}", field.name())]
    Line { line: Arc<str>, field: LineField, why: LineError },
    #[error("the lines add up to {0}; a stay must cost more than 0.00; check the credits")]
    NothingCharged(Money),
    #[error("the lines add up to {0}, which is beyond 9,999,999,999.99")]
    TotalTooLarge(Money),
    #[error("credits leave the {} at {amount}, more than rounding explains", bucket.text().en)]
    NegativeBucket { bucket: Bucket, amount: Money },
    #[error("the total is stated as {stated}, and the lines add up to {lines}")]
    StatedTotal { stated: Money, lines: Money },
}

/// One of the four parts of a stay's total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bucket {
    SelfFunded,
    OverLimit,
    UpfrontCopay,
    InScope,
}

impl Bucket {
    /// As the desk calls it.
    pub fn text(self) -> Text {
        match self {
            Self::SelfFunded => Text::new("全自费费用", "self-funded cost"),
            Self::OverLimit => Text::new("超限价费用", "cost over price limits"),
            Self::UpfrontCopay => Text::new("先行自付费用", "upfront co-payment"),
            Self::InScope => Text::new("政策范围内费用", "in-scope cost"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    #[error(transparent)]
    Charge(#[from] ChargeError),
    #[error("is 0, and the item has a price ceiling per unit")]
    ZeroQuantity,
    #[error("another line has the same id")]
    RepeatedId,
    #[error("is stated on a line that charges: mark it as a credit or give it a negative amount")]
    CreditOfCharge,
    #[error("cites line {0}, which is a credit itself")]
    CreditOfCredit(Arc<str>),
}

impl AssessError {
    /// The same for the desk, in both languages.
    pub fn text(&self) -> Text {
        let zh = match self {
            Self::Line { line, why, .. } => format!("明细 {line}：{}", why.text().zh),
            Self::NothingCharged(total) => format!("费用合计 {total} 元，须大于 0.00 元；请核对退费"),
            Self::TotalTooLarge(total) => format!("费用合计 {total} 元，超过上限 9,999,999,999.99"),
            Self::NegativeBucket { bucket, amount } => format!(
                "退费使{}合计为 {amount} 元，超出四舍五入所能解释的范围；请核对退费",
                bucket.text().zh
            ),
            Self::StatedTotal { stated, lines } => {
                format!("报文总费用 {stated} 元，与明细合计 {lines} 元不符")
            }
        };
        Text::new(zh, self.to_string())
    }
}

impl LineError {
    /// Of the line alone, in both languages.
    pub fn text(&self) -> Text {
        let zh = match self {
            Self::Charge(why) => return why.text(),
            Self::ZeroQuantity => "项目有单价限额，数量不能为 0".to_owned(),
            Self::RepeatedId => "另有一行明细号与此相同".to_owned(),
            Self::CreditOfCharge => "引用了原收费行，却不是退费；请标为退费或写负数金额".to_owned(),
            Self::CreditOfCredit(line) => format!("引用的明细 {line} 本身是退费"),
        };
        Text::new(zh, self.to_string())
    }
}

/// What decides a line's buckets, message first, then catalogue.
#[derive(Clone, Default)]
struct LineTerms {
    class: Option<CatalogueClass>,
    category: Option<Arc<str>>,
    upfront_ratio: Option<Ratio>,
    ceiling: Option<UnitPrice>,
}

/// What the lines of a stay add up to, held against the total the sender binds itself to: all that can be said of
/// them before the catalogue is asked.
///
/// # Errors
/// See [`AssessError`]; [`AssessError::StatedTotal`] has both figures.
pub fn total(lines: &[Line], stated: Option<Money>) -> Result<Money, AssessError> {
    let mut total = Money::ZERO;
    for line in lines {
        total += line.signed_amount().map_err(|why| AssessError::Line {
            line: line.id.as_str().into(),
            field: LineField::Amount,
            why: why.into(),
        })?;
    }
    chargeable(total)?;
    match stated {
        Some(stated) if stated != total => Err(AssessError::StatedTotal { stated, lines: total }),
        _ => Ok(total),
    }
}

fn chargeable(total: Money) -> Result<(), AssessError> {
    if !total.is_positive() {
        return Err(AssessError::NothingCharged(total));
    }
    total.within_limit().map(|_| ()).map_err(|_| AssessError::TotalTooLarge(total))
}

/// Splits every line into its buckets and sums them up.
///
/// `item` is the catalogue of the hospital on the discharge date. Two lines with one id, and `credit_of` on a
/// line that charges or towards another credit, are refused: each would leave open which terms hold. A
/// credit of a line that is not in this message keeps its own terms.
///
/// # Errors
/// See [`AssessError`]; line and field name the place.
pub fn assess(lines: &[Line], item: impl Fn(&str) -> Option<Item>) -> Result<Assessment, AssessError> {
    let by_id = by_id(lines)?;
    let mut assessed = Vec::with_capacity(lines.len());
    let mut unknown = Unknown::default();
    for line in lines {
        let place = |field: LineField| move |why: LineError| at(line, field, why);
        let amount = line.signed_amount().map_err(|why| place(LineField::Amount)(why.into()))?;
        let cited = cited(&by_id, line, amount).map_err(place(LineField::CreditOf))?;
        let mut terms = terms(line, &item);
        if let Some(cited) = cited {
            let theirs = self::terms(cited, &item);
            terms = LineTerms { category: terms.category.or(theirs.category), ..theirs };
        }
        if terms.class.is_none() {
            unknown.note(line, amount);
        }
        let split = split(line, amount, &terms).map_err(|(field, why)| place(field)(why))?;
        assessed.push(split);
    }
    let credits = assessed.iter().filter(|line| line.amount.is_negative()).count();
    let by_category = by_category(&assessed);
    let mut sums = Buckets::default();
    for total in &by_category {
        add(&mut sums, &total.buckets);
    }
    Ok(Assessment {
        buckets: repaired(sums, credits)?,
        lines: assessed,
        by_category,
        findings: unknown.finding(),
    })
}

fn at(line: &Line, field: LineField, why: LineError) -> AssessError {
    AssessError::Line { line: line.id.as_str().into(), field, why }
}

fn by_id(lines: &[Line]) -> Result<HashMap<&str, &Line>, AssessError> {
    let mut by_id = HashMap::with_capacity(lines.len());
    for line in lines {
        if by_id.insert(line.id.as_str(), line).is_some() {
            return Err(at(line, LineField::Id, LineError::RepeatedId));
        }
    }
    Ok(by_id)
}

fn cited<'l>(
    by_id: &HashMap<&str, &'l Line>,
    line: &Line,
    amount: Money,
) -> Result<Option<&'l Line>, LineError> {
    let Some(id) = &line.credit_of else { return Ok(None) };
    let is_credit = |line: &Line, amount: Money| line.credit || amount.is_negative();
    if !is_credit(line, amount) {
        return Err(LineError::CreditOfCharge);
    }
    match by_id.get(id.as_str()) {
        Some(cited) if cited.signed_amount().is_ok_and(|amount| is_credit(cited, amount)) => {
            Err(LineError::CreditOfCredit(id.as_str().into()))
        }
        cited => Ok(cited.copied()),
    }
}

fn terms(line: &Line, item: &impl Fn(&str) -> Option<Item>) -> LineTerms {
    let known = item(&line.code);
    let known = known.as_ref();
    LineTerms {
        class: line.class.or(known.map(|item| item.class)),
        category: match &line.category {
            Some(category) => Some(category.as_str().into()),
            None => known.and_then(|item| item.category.clone()),
        },
        upfront_ratio: line.upfront_ratio.or(known.and_then(|item| item.upfront_ratio)),
        ceiling: line.ceiling.or(known.and_then(|item| item.ceiling)),
    }
}

/// The table of SETTLEMENT §2 for one line.
fn split(line: &Line, amount: Money, terms: &LineTerms) -> Result<ClaimLine, (LineField, LineError)> {
    let number = |why: NumberError| (LineField::Amount, LineError::from(ChargeError::from(why)));
    let class = terms.class.unwrap_or(CatalogueClass::C);
    let mut split = ClaimLine {
        id: line.id.as_str().into(),
        code: line.code.as_str().into(),
        category: terms.category.clone(),
        class,
        amount,
        self_funded: Money::ZERO,
        over_limit: Money::ZERO,
        upfront_copay: Money::ZERO,
        in_scope: Money::ZERO,
    };
    if class == CatalogueClass::C {
        split.self_funded = amount;
        return Ok(split);
    }
    if let Some(ceiling) = terms.ceiling {
        if line.quantity.is_zero() {
            return Err((LineField::Quantity, LineError::ZeroQuantity));
        }
        let accepted = Exact::from(line.quantity).abs().times(ceiling).map_err(number)?;
        let over = amount.abs().exact().minus(accepted).map_err(number)?.or_zero().round();
        split.over_limit = if amount.is_negative() { -over } else { over };
    }
    if class == CatalogueClass::B {
        let ratio = terms.upfront_ratio.unwrap_or_default();
        split.upfront_copay = (amount - split.over_limit).exact().times(ratio).map_err(number)?.round();
    }
    split.in_scope = amount - split.over_limit - split.upfront_copay;
    Ok(split)
}

fn by_category(lines: &[ClaimLine]) -> Vec<CategoryTotal> {
    let mut totals: BTreeMap<Option<&Arc<str>>, (u32, Buckets)> = BTreeMap::new();
    for line in lines {
        let (count, buckets) = totals.entry(line.category.as_ref()).or_default();
        *count = count.saturating_add(1);
        let of_line = Buckets {
            total: line.amount,
            self_funded: line.self_funded,
            over_limit: line.over_limit,
            upfront_copay: line.upfront_copay,
            in_scope: line.in_scope,
        };
        add(buckets, &of_line);
    }
    let total = |(category, (lines, buckets)): (Option<&Arc<str>>, _)| CategoryTotal {
        category: category.cloned(),
        lines,
        buckets,
    };
    // `None` sorts first and reads better last.
    let uncategorised = totals.remove_entry(&None).map(total);
    totals.into_iter().map(total).chain(uncategorised).collect()
}

fn add(sum: &mut Buckets, part: &Buckets) {
    sum.total += part.total;
    sum.self_funded += part.self_funded;
    sum.over_limit += part.over_limit;
    sum.upfront_copay += part.upfront_copay;
    sum.in_scope += part.in_scope;
}

/// Sets to 0 what only the rounding of credits made negative; `in_scope` takes the difference. Where that
/// leaves `in_scope` itself below 0, the upfront co-payment gives it back, then the amounts over limits,
/// then the self-funded: the whole stays the sum of its parts.
fn repaired(mut sums: Buckets, credits: usize) -> Result<Buckets, AssessError> {
    chargeable(sums.total)?;
    let tolerated = -Money::from_fen(i64::try_from(credits).unwrap_or(i64::MAX));
    for (bucket, amount) in [
        (Bucket::SelfFunded, sums.self_funded),
        (Bucket::OverLimit, sums.over_limit),
        (Bucket::UpfrontCopay, sums.upfront_copay),
        (Bucket::InScope, sums.in_scope),
    ] {
        if amount < tolerated {
            return Err(AssessError::NegativeBucket { bucket, amount });
        }
    }
    let in_scope = &mut sums.in_scope;
    for bucket in [&mut sums.self_funded, &mut sums.over_limit, &mut sums.upfront_copay] {
        if bucket.is_negative() {
            *in_scope += *bucket;
            *bucket = Money::ZERO;
        }
    }
    for bucket in [&mut sums.upfront_copay, &mut sums.over_limit, &mut sums.self_funded] {
        let given = (-*in_scope).or_zero().min(*bucket);
        *bucket -= given;
        *in_scope += given;
    }
    Ok(sums)
}

/// Items found neither in the message nor in the catalogue.
#[derive(Default)]
struct Unknown<'l> {
    codes: BTreeSet<&'l str>,
    lines: usize,
    amount: Money,
}

impl<'l> Unknown<'l> {
    fn note(&mut self, line: &'l Line, amount: Money) {
        self.codes.insert(&line.code);
        self.lines += 1;
        self.amount += amount;
    }

    fn finding(self) -> Vec<Finding> {
        if self.codes.is_empty() {
            return Vec::new();
        }
        let codes: Vec<&str> = self.codes.into_iter().collect();
        vec![findings::unknown_items(&codes, self.lines, self.amount)]
    }
}

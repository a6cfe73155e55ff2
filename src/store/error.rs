//! Why the store could not do a step, in the words of whoever has to act.

use std::fmt::{self, Display};
use std::sync::Arc;

use yizhan_contract::Text;

use super::seal::SealError;

/// Why the store could not do a step. Nothing of it happened, unless it is [`StoreError::InDoubt`].
#[derive(Debug, Clone)]
pub enum StoreError {
    /// Busy, full, unreachable: the same step may succeed later.
    Unavailable(Text),
    /// Nobody can say whether the step took place. A message sent again is answered with what became of it.
    InDoubt(Text),
    /// A document that does not open or does not read: wrong key, or damage. What of it is said in English alone is a
    /// diagnosis for engineers, and stands behind both sentences.
    Damaged(String),
    WrongKey {
        expected: String,
        given: Text,
    },
    /// Absent: the store is new and has no key yet.
    NoKey(Option<String>),
    /// Another gateway holds the store.
    Taken(Text),
    /// Written by a newer program, or by another one.
    Schema(Text),
    /// A step broke off inside the gateway: a defect of ours, the same step would break again.
    Defect(String),
}

impl StoreError {
    /// What it says, each language for itself.
    pub fn text(&self) -> Text {
        match self {
            Self::Unavailable(Text { zh, en }) => Text::new(
                format!("数据库暂不可用（{zh}），本步未写入，未因此发生资金变动，请稍后重试"),
                format!(
                    "the store is not available: {en}; nothing of this step was written and it moved no money; \
                     try again later"
                ),
            ),
            Self::InDoubt(Text { zh, en }) => Text::new(
                format!("是否已写入、资金是否变动尚不能确认（{zh}），请用同一消息重发查询"),
                format!(
                    "it is not known whether the step took place and moved money: {en}; send the same message \
                     again to learn it"
                ),
            ),
            Self::Damaged(what) => Text::new(
                "数据库中有无法读取的内容，本步未写入，未因此发生资金变动，请将末尾的诊断信息告知管理员",
                format!(
                    "the store holds what cannot be read; nothing of this step was written and it moved no money; \
                     tell the operator the diagnosis at the end [{what}]"
                ),
            ),
            Self::WrongKey { expected, given } => Text::new(
                format!(
                    "密钥不符：数据库使用密钥 {expected}，给出的是 {}，请用 --key 或 key_file 指定前者",
                    given.zh
                ),
                format!(
                    "wrong key: the store was written under key {expected}, {} was given; name the former by \
                     --key or key_file",
                    given.en
                ),
            ),
            Self::NoKey(expected) => no_key(expected.as_deref()),
            Self::Taken(Text { zh, en }) => {
                Text::new(format!("{zh}；未发生资金变动"), format!("{en}; no money moved"))
            }
            Self::Schema(Text { zh, en }) => Text::new(
                format!("数据库结构与本程序不符（{zh}），未写入，未发生资金变动，请使用相应版本的程序"),
                format!(
                    "the store's schema does not fit this program: {en}; nothing was written and no money moved; \
                     use the program it is of"
                ),
            ),
            Self::Defect(what) => Text::new(
                "网关内部错误，本步未写入，未因此发生资金变动，请将末尾的诊断信息告知管理员",
                format!(
                    "a step failed inside the gateway; nothing of it was written and it moved no money; tell the \
                     operator the diagnosis at the end [{what}]"
                ),
            ),
        }
    }

    /// Why nothing could be done, in the words of something else: the operating system or the database.
    pub(super) fn said_by(who: &str, why: &dyn Display) -> Text {
        Text::new(format!("{who} 报告：{why}"), format!("{who} says: {why}"))
    }

    pub(super) fn unavailable(zh: impl Into<Arc<str>>, en: impl Into<Arc<str>>) -> Self {
        Self::Unavailable(Text::new(zh, en))
    }

    /// Whether the same step may succeed later without anybody's doing.
    pub fn may_retry(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::InDoubt(_))
    }
}

fn no_key(expected: Option<&str>) -> Text {
    match expected {
        None => Text::new(
            "新数据库需要密钥文件，请先用 yizhan key new 生成",
            "a new store needs a key file; make one with `yizhan key new`",
        ),
        Some(expected) => Text::new(
            format!("缺少密钥文件：数据库使用密钥 {expected}，请用 --key 或 key_file 指定"),
            format!("no key file: the store was written under key {expected}; name it by --key or key_file"),
        ),
    }
}

impl Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Text { zh, en } = self.text();
        write!(f, "{zh} | {en}")
    }
}

impl std::error::Error for StoreError {}

impl From<SealError> for StoreError {
    fn from(why: SealError) -> Self {
        Self::Damaged(why.to_string())
    }
}

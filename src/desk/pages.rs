//! The pages around the sheet: the demo's list of bills, and what a person sees of a refusal, of what has no bill, and of
//! what is still worked on.

use askama::Template;
use yizhan_contract::Text;

use super::assets::STYLE;
use super::figures;
use super::pending::Pending;
use super::problem::Problem;
use super::values;
use super::words::{EN, Lang, Words, ZH};
use crate::settlement::bill::Bill;
use crate::settlement::outcome::Noted;

/// One bill of the list; the bill is masked, and stays so here.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a> {
    pub bill: &'a Bill,
    pub hospital_name: &'a str,
    /// Where its sheet is.
    pub href: &'a str,
}

/// The list of recent bills, newest first as the caller orders them.
pub fn index(bills: &[Listed<'_>], lang: Lang) -> Result<String, askama::Error> {
    Index { lang, words: lang.words(), style: STYLE, bills }.render()
}

/// A refusal in both languages: what, where, what to do next, and whether money moved.
pub fn problem(problem: &Problem) -> Result<String, askama::Error> {
    let money = values::money(problem.money);
    ProblemPage { lang: Lang::Zh, zh: &ZH, en: &EN, style: STYLE, problem, money }.render()
}

/// What was taken in without a bill, in both languages.
pub fn noted(noted: &Noted) -> Result<String, askama::Error> {
    let (state, who) = (noted.state.text(), noted.beneficiary.sentence());
    NotedPage { lang: Lang::Zh, zh: &ZH, en: &EN, style: STYLE, noted, state, who }.render()
}

/// What is still worked on, in both languages; `link` leads to what it comes to.
pub fn pending(pending: &Pending, link: &str) -> Result<String, askama::Error> {
    let money = values::money(pending.money);
    PendingPage { lang: Lang::Zh, zh: &ZH, en: &EN, style: STYLE, pending, money, link }.render()
}

#[derive(Template)]
#[template(path = "index.html")]
struct Index<'a> {
    lang: Lang,
    words: &'static Words,
    style: &'static str,
    bills: &'a [Listed<'a>],
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    lang: Lang,
    zh: &'static Words,
    en: &'static Words,
    style: &'static str,
    problem: &'a Problem,
    money: values::Both,
}

#[derive(Template)]
#[template(path = "noted.html")]
struct NotedPage<'a> {
    lang: Lang,
    zh: &'static Words,
    en: &'static Words,
    style: &'static str,
    noted: &'a Noted,
    state: Text,
    who: Text,
}

#[derive(Template)]
#[template(path = "pending.html")]
struct PendingPage<'a> {
    lang: Lang,
    zh: &'static Words,
    en: &'static Words,
    style: &'static str,
    pending: &'a Pending,
    money: values::Both,
    link: &'a str,
}

//! The pages around the sheet: the demo's list of bills, and what a person sees of a refusal.

use askama::Template;

use super::assets::style_path;
use super::figures;
use super::problem::Problem;
use super::values;
use super::words::{EN, Lang, Words, ZH};
use crate::settlement::bill::Bill;

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
    Index { lang, words: lang.words(), style: style_path(), bills }.render()
}

/// A refusal in both languages: what, where, what to do next, and whether money moved.
pub fn problem(problem: &Problem) -> Result<String, askama::Error> {
    let money = values::money(problem.money);
    ProblemPage { lang: Lang::Zh, zh: &ZH, en: &EN, style: style_path(), problem, money }.render()
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

//! The sections of a mapping file, each into an exchange.

use std::collections::BTreeSet;

use reqwest::{Method, Url};
use yizhan_contract::payer::Need;
use yizhan_contract::{PayerCode, Text};

use super::charset::Charset;
use super::check::kept_names;
use super::file::{File, RawContent, RawSection};
use super::forms::{Codes, Forms};
use super::mapping::Exchange;
use super::mistake::Mistakes;
use super::names::{ASK, COVERAGE, LEG_ALONE, OPERATION, ORIGINAL, STATEMENT, Scope, VISIT};
use super::node::{read_json, read_xml};
use super::section::Section;
use super::template::{Medium, Template, Terms, Use, Values};

/// What sections are read with.
#[derive(Clone, Copy)]
pub(super) struct Sections<'s> {
    pub(super) content: RawContent,
    pub(super) charset: Charset,
    pub(super) forms: &'s Forms,
    pub(super) codes: &'s Codes,
    pub(super) serves: &'s [PayerCode],
    pub(super) is_firm: bool,
}

/// Every section, as far as it could be read.
pub(super) struct Read {
    pub(super) quote: Option<Exchange>,
    pub(super) commit: Option<Exchange>,
    pub(super) status: Option<Exchange>,
    pub(super) reverse: Option<(Exchange, Exchange)>,
    pub(super) coverage: Option<Exchange>,
    pub(super) visit: Option<Exchange>,
    pub(super) statement: Option<Exchange>,
    pub(super) needs: BTreeSet<Need>,
    pub(super) kept: Vec<Vec<String>>,
}

impl Sections<'_> {
    pub(super) fn read(&self, file: &File, mistakes: &mut Mistakes) -> Read {
        let visited = kept_names(file.visit.as_ref().and_then(|visit| visit.answer.keep.as_ref()));
        let quoted = kept_names(file.quote.answer.keep.as_ref());
        let alone = if self.serves.len() <= 1 { LEG_ALONE } else { &[] };
        let quote = Scope::of(&[ASK, alone]).with_kept("visited", visited.clone());
        let with_both =
            |scope: Scope| scope.with_kept("visited", visited.clone()).with_kept("quoted", quoted.clone());
        let commit = with_both(Scope::of(&[OPERATION, ASK, alone]));
        let reverse = with_both(Scope::of(&[OPERATION, ORIGINAL, ASK, alone]));
        let visit = Scope::of(&[VISIT]).with_kept("visited", visited.clone());
        let (mut asked, mut ordered) = (Vec::new(), Vec::new());
        let mut one = |section: Section, raw: Option<&RawSection>, scope: &Scope, uses: &mut Vec<Use>| {
            raw.and_then(|raw| self.exchange(section, raw, scope, uses, mistakes))
        };
        let read = Read {
            quote: one(Section::Quote, Some(&file.quote), &quote, &mut asked),
            commit: one(Section::Commit, Some(&file.commit), &commit, &mut ordered),
            status: one(Section::Status, Some(&file.status), &commit, &mut ordered),
            reverse: one(Section::Reverse, file.reverse.as_ref(), &reverse, &mut ordered).zip(one(
                Section::ReverseStatus,
                file.reverse_status.as_ref(),
                &reverse,
                &mut ordered,
            )),
            coverage: one(Section::Coverage, file.coverage.as_ref(), &Scope::of(&[COVERAGE]), &mut asked),
            visit: one(Section::Visit, file.visit.as_ref(), &visit, &mut asked),
            statement: one(Section::Statement, file.statement.as_ref(), &Scope::of(&[STATEMENT]), &mut asked),
            needs: BTreeSet::new(),
            kept: Vec::new(),
        };
        let needs = asked.iter().chain(&ordered).filter_map(|(_, found)| found.need).collect();
        // Of the operation's own the operation tells; `quoted` is kept whole, with the answer.
        let own: BTreeSet<&str> = OPERATION.iter().chain(ORIGINAL).map(|name| name.name).collect();
        let is_asked = |path: &Vec<String>| {
            let first = path.first().map(String::as_str).unwrap_or_default();
            !own.contains(first) && !["now", "deadline", "quoted"].contains(&first)
        };
        let kept = ordered.into_iter().map(|(path, _)| path).filter(is_asked).collect();
        Read { needs, kept, ..read }
    }

    fn exchange(
        &self,
        section: Section,
        raw: &RawSection,
        scope: &Scope,
        uses: &mut Vec<Use>,
        mistakes: &mut Mistakes,
    ) -> Option<Exchange> {
        let key = section.key();
        let medium = match self.content {
            RawContent::Json => Medium::Json,
            RawContent::Xml => Medium::Xml,
        };
        let method = self.method(raw, &format!("{key}.method"), mistakes);
        let path = self.template(&format!("{key}.path"), &raw.path, Medium::Address, scope, uses, mistakes);
        let request = raw
            .request
            .as_ref()
            .map(|text| self.template(&format!("{key}.request"), text, medium, scope, uses, mistakes));
        let reading = self.reading(section, &raw.answer, mistakes);
        let request = match request {
            Some(request) => Some(request?),
            None => None,
        };
        Some(Exchange { section, method: method?, path: path?, request, reading: reading? })
    }

    fn method(&self, raw: &RawSection, place: &str, mistakes: &mut Mistakes) -> Option<Method> {
        let usual = if raw.request.is_some() { "POST" } else { "GET" };
        let method = match raw.method.as_deref().unwrap_or(usual) {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "DELETE" => Method::DELETE,
            _ => {
                mistakes.add(
                    place,
                    Text::new("只能是 GET、POST、PUT 或 DELETE", "must be GET, POST, PUT or DELETE"),
                );
                return None;
            }
        };
        if method == Method::GET && raw.request.is_some() {
            mistakes.add(place, Text::new("GET 不带请求体，请用 POST", "GET has no body; use POST"));
            return None;
        }
        Some(method)
    }

    fn template(
        &self,
        place: &str,
        text: &str,
        medium: Medium,
        scope: &Scope,
        uses: &mut Vec<Use>,
        mistakes: &mut Mistakes,
    ) -> Option<Template> {
        let terms = Terms { scope, codes: self.codes, forms: self.forms };
        match Template::read(place, text, medium, terms) {
            Ok((template, used)) => {
                uses.extend(used);
                let sound = self.try_out(&template, text, medium, scope);
                sound.map_err(|(at, why)| mistakes.add(format!("{place}{at}"), why)).ok().map(|()| template)
            }
            Err(wrong) => {
                for (line, why) in wrong {
                    mistakes.add(format!("{place}, line {line}"), why);
                }
                None
            }
        }
    }

    /// Fills the template with made-up values, lists of one, none and two: what comes out must be well formed.
    fn try_out(
        &self,
        template: &Template,
        text: &str,
        medium: Medium,
        scope: &Scope,
    ) -> Result<(), (String, Text)> {
        for items in [1, 0, 2] {
            let sample = scope.sample(items);
            let values = Values { root: &sample, codes: self.codes, is_sample: true };
            let filled = template.render(values).map_err(|why| (String::new(), why.text()))?;
            // With one item each line is the template's own.
            let at = |line: usize| if items == 1 { format!(", line {line}") } else { String::new() };
            let with = match items {
                1 => ["", ""],
                0 => ["（列表为空时）", " where lists are empty"],
                _ => ["（列表有两项时）", " where lists have two items"],
            };
            let no = |what: &str| {
                Text::new(
                    format!("填入值后不是有效的 {what}{}", with[0]),
                    format!("filled in, it is no {what}{}", with[1]),
                )
            };
            match medium {
                Medium::Json => {
                    read_json(&filled).map_err(|why| (at(why.line()), no("JSON")))?;
                }
                Medium::Xml => {
                    read_xml(&filled).map_err(|line| (at(line), no("XML")))?;
                    self.check_declaration(text).map_err(|why| (", line 1".to_owned(), why))?;
                }
                Medium::Address => {
                    let whole = format!("https://insurer.example{filled}");
                    if !filled.starts_with('/')
                        || whole.parse::<Url>().is_err()
                        || filled.contains(['#', ' '])
                    {
                        return Err((
                            String::new(),
                            Text::new("须以 / 开头，如 /claims", "must begin with /, such as /claims"),
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// XML says itself how it is encoded; without a word it is UTF-8.
    fn check_declaration(&self, text: &str) -> Result<(), Text> {
        let declaration = text.trim_start().strip_prefix("<?xml").and_then(|rest| rest.split_once("?>"));
        let declared = declaration
            .and_then(|(declaration, _)| declaration.split_once("encoding="))
            .and_then(|(_, rest)| rest.get(1..)?.split(['"', '\'']).next());
        if declared.map_or(Some(Charset::Utf8), Charset::of) == Some(self.charset) {
            return Ok(());
        }
        let label = self.charset.label();
        Err(Text::new(
            format!("XML 声明须写明 encoding=\"{label}\"（connection.charset）"),
            format!("the XML declaration must say encoding=\"{label}\", as connection.charset does"),
        ))
    }
}

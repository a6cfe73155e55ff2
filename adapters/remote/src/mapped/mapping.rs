//! A mapping file that was checked: what to send, and how to read what comes.

use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Map, Value};
use yizhan_contract::payer::Manifest;

use super::answer::{Hand, Reading};
use super::charset::Charset;
use super::file::RawContent;
use super::forms::{Codes, Forms};
use super::section::Section;
use super::sign::{Signed, Signing};
use super::template::{Template, Unwritten, Values};
use crate::wire::keyed::hex;
use crate::wire::{Outgoing, Target, Trouble, Wire, told};
use yizhan_contract::Text;

#[derive(Debug)]
pub(super) struct Mapping {
    pub(super) manifest: Manifest,
    pub(super) target: Target,
    pub(super) content: RawContent,
    pub(super) charset: Charset,
    pub(super) content_type: HeaderValue,
    pub(super) headers: HeaderMap,
    pub(super) signing: Option<Signing>,
    pub(super) forms: Forms,
    pub(super) codes: Codes,
    pub(super) quote: Exchange,
    pub(super) commit: Exchange,
    pub(super) status: Exchange,
    /// The reversal, and what became of one.
    pub(super) reverse: Option<(Exchange, Exchange)>,
    pub(super) coverage: Option<Exchange>,
    pub(super) visit: Option<Exchange>,
    pub(super) statement: Option<Exchange>,
    /// What of a quote's request its operations speak of.
    pub(super) kept: Vec<Vec<String>>,
}

/// One exchange with the insurer.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) section: Section,
    pub(super) method: Method,
    pub(super) path: Template,
    pub(super) request: Option<Template>,
    pub(super) reading: Reading,
}

impl Mapping {
    pub(super) fn hand(&self) -> Hand<'_> {
        Hand {
            content: self.content,
            charset: self.charset,
            forms: &self.forms,
            codes: &self.codes,
            serves: &self.manifest.serves,
        }
    }

    /// Path and body as text, before they are encoded and signed.
    pub(super) fn texts(
        &self,
        exchange: &Exchange,
        values: &Value,
    ) -> Result<(String, Option<String>), Unwritten> {
        let values = Values { root: values, codes: &self.codes, is_sample: false };
        let request = exchange.request.as_ref().map(|request| request.render(values)).transpose()?;
        Ok((exchange.path.render(values)?, request))
    }

    /// A request, signed for this moment.
    pub(super) fn write(
        &self,
        wire: &Wire,
        exchange: &Exchange,
        mut values: Map<String, Value>,
        deadline: Timestamp,
    ) -> Result<Outgoing, Trouble> {
        let now = wire.host().now();
        add_moment(&mut values, now, deadline);
        let (path, text) =
            self.texts(exchange, &Value::Object(values)).map_err(|why| Trouble::NotWritten(why.text()))?;
        let body = self.encoded(text.unwrap_or_default())?;
        let url = wire.url(&path)?;
        let mut headers = self.headers.clone();
        if exchange.request.is_some() {
            headers.insert(CONTENT_TYPE, self.content_type.clone());
        }
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static(match self.content {
            RawContent::Json => "application/json",
            RawContent::Xml => "application/xml, text/xml",
        }));
        if let Some(signing) = &self.signing {
            let mut nonce = [0; 16];
            wire.host().fill_random(&mut nonce);
            let path =
                url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
            let (method, nonce) = (exchange.method.as_str(), hex(&nonce));
            let signed = Signed { method, path: &path, body: &body, at: now, nonce: &nonce };
            if !signing.sign(&signed, &mut headers) {
                return Err(Trouble::NotWritten(Text::new(
                    "签名无法写入请求头",
                    "the signature is no header's value",
                )));
            }
        }
        Ok(Outgoing { method: exchange.method.clone(), url, headers, body: body.into() })
    }

    fn encoded(&self, text: String) -> Result<Vec<u8>, Trouble> {
        let label = self.charset.label();
        self.charset.encode(text).ok_or_else(|| {
            Trouble::NotWritten(Text::new(
                format!("请求含 {label} 没有的字符"),
                format!("the request holds a character that {label} does not have"),
            ))
        })
    }
}

pub(super) fn add_moment(values: &mut Map<String, Value>, now: Timestamp, deadline: Timestamp) {
    values.insert("now".to_owned(), now.to_string().into());
    values.insert("deadline".to_owned(), told(deadline).to_string().into());
}

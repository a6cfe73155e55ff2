//! The example of an XML insurer (adapters/examples/mapping-xml.toml): GB18030, two payers, visits.

use std::sync::{Arc, Mutex};

use encoding_rs::GB18030;
use yizhan_contract::payer::{Ask, Memo, Payer, Performed, Quote, QuoteAnswer, Status, VisitEvent, Visited};
use yizhan_contract::{Money, PayerCode, Personal};
use yizhan_remote::Mapped;

use crate::book::{Book, Entry, between, mapped};
use crate::certificates::Certificates;
use crate::given::{TestHost, ask, commit_of, example, reversal_of};
use crate::service::{Came, Reply, Service};

const EXAMPLE: &str = include_str!("../../../examples/mapping-xml.toml");
/// Rare characters of names, and what XML has to escape.
const NAME: &str = "䶮𠮷</Name><Cert>1</Cert>&amp;'\"";
const ESCAPED: &str = "䶮𠮷&lt;/Name&gt;&lt;Cert&gt;1&lt;/Cert&gt;&amp;amp;&#39;&quot;";

struct Insurer {
    book: Arc<Book>,
    instead: Arc<Mutex<Option<String>>>,
    service: Service,
    mapped: Mapped,
    host: Arc<TestHost>,
}

fn reply(text: &str) -> Reply {
    let (bytes, _, is_lossy) = GB18030.encode(text);
    assert!(!is_lossy);
    // Servers say what they like.
    Reply::text(200, "text/xml; charset=ISO-8859-1", bytes.into_owned())
}

fn decoded(came: &Came) -> String {
    GB18030.decode_without_bom_handling_and_without_replacement(&came.body).unwrap().into_owned()
}

impl Insurer {
    async fn start() -> Self {
        let certificates = Certificates::new();
        let (book, instead) = (Arc::new(Book::default()), Arc::new(Mutex::new(None::<String>)));
        let (kept, next) = (Arc::clone(&book), Arc::clone(&instead));
        let service = Service::start(&certificates, move |came| {
            assert_eq!(came.head.headers["content-type"], "text/xml; charset=GBK");
            let text = next.lock().unwrap().clone();
            reply(&text.unwrap_or_else(|| answer(&decoded(came), &kept)))
        })
        .await;
        let here = format!("https://localhost:{}", service.port);
        // This one wants to see a certificate too, which the example's does not.
        let example = EXAMPLE.replace(
            "ca = \"ca.pem\"",
            "ca = \"ca.pem\"\ncertificate = \"gateway.pem\"\nkey = \"gateway-key.pem\"",
        );
        let (mapped, host) =
            mapped(&example, ("https://core.kangtai.example", &here), &certificates).unwrap();
        Self { book, instead, service, mapped, host }
    }

    async fn quote(&self, memo: Memo) -> QuoteAnswer {
        self.mapped.quote(&asked(memo), self.host.within(20)).await
    }

    async fn quoted(&self) -> Quote {
        match self.quote(Memo::default()).await {
            QuoteAnswer::Quote(quote) => quote,
            other => panic!("{other:?}"),
        }
    }

    fn last(&self) -> String {
        decoded(self.service.requests().last().unwrap())
    }
}

/// An accident, of which two payers of this insurer pay.
fn asked(memo: Memo) -> Ask {
    let mut ask = ask();
    let mut accident = ask.legs[0].clone();
    accident.payer = "accident".parse().unwrap();
    accident.pay_at_most = "1000.00".parse().unwrap();
    ask.legs.insert(0, accident);
    ask.person.name = Some(Personal::new(NAME.to_owned()));
    Ask { memo, ..ask }
}

fn answer(request: &str, book: &Book) -> String {
    let kinds = |fen: i64| {
        let (accident, whole) = (Money::from_fen(fen - 5_507), Money::from_fen(fen));
        format!(
            "<Kinds><Kind code=\"YW\"><Pay>{accident}</Pay></Kind><Kind code=\"BC\"><Pay>55.07</Pay></Kind></Kinds>\
             <Total>{whole}</Total>"
        )
    };
    let done = |entry: Entry| {
        let Entry { id, fen, .. } = entry;
        format!("<Response code=\"0\"><Serial>{id}</Serial><No>号{id}</No>{}</Response>", kinds(fen))
    };
    let none = || "<Response code=\"404\"><Message>查无此笔</Message></Response>".to_owned();
    let serial = || between(request, "<Serial>", "</Serial>").to_owned();
    let cancelled = || format!("<Response code=\"0\"><Serial>{}</Serial><No>撤1</No></Response>", serial());
    match between(request, "trans=\"", "\"") {
        "ADMIT" => "<Response code=\"0\"><Case>案-7</Case></Response>".to_owned(),
        "CALC" => format!("<Response code=\"0\">{}</Response>", kinds(15_507)),
        "SETTLE" => {
            let total: Money = between(request, "<Total>", "</Total>").parse().unwrap();
            done(book.enter(Entry { id: serial(), fen: total.fen(), of: None }))
        }
        "QUERY" => book.find(&serial()).filter(|entry| entry.of.is_none()).map_or_else(none, done),
        "CANCEL" => {
            let of = between(request, "<Of>", "</Of>").to_owned();
            let Some(original) = book.find(&of) else { return none() };
            book.enter(Entry { id: serial(), fen: -original.fen, of: Some(of) });
            cancelled()
        }
        "QUERYCANCEL" => match book.find(&serial()).filter(|entry| entry.of.is_some()) {
            Some(_) => cancelled(),
            None => none(),
        },
        "BOOK" => {
            assert_eq!(between(request, "<Day>", "</After>"), "20200702</Day><After>");
            let lines: String = book.entries().iter().map(lines).collect();
            format!("<Response code=\"0\"><Lines>{lines}</Lines></Response>")
        }
        other => panic!("{other}"),
    }
}

/// One operation in the book: a line for each payer.
fn lines(entry: &Entry) -> String {
    let sign = entry.fen.signum();
    let line = |kind: &str, fen: i64| {
        let (id, amount) = (&entry.id, Money::from_fen(fen));
        format!(
            "<Line serial=\"{id}\" kind=\"{kind}\" at=\"20200702101500\"><No>号{id}</No><Amount>{amount}</Amount></Line>"
        )
    };
    line("YW", entry.fen - sign * 5_507) + &line("BC", sign * 5_507)
}

fn fen(amounts: &[(PayerCode, Money)]) -> Vec<(&str, i64)> {
    amounts.iter().map(|(payer, amount)| (payer.as_str(), amount.fen())).collect()
}

#[tokio::test]
async fn two_payers_of_one_insurer_are_quoted_settled_and_cancelled_together() {
    let insurer = Insurer::start().await;
    let event = example("/v1/visit", "admitted")["event"].clone();
    let mut event: VisitEvent = serde_json::from_value(event).unwrap();
    event.person.name = Some(Personal::new(NAME.to_owned()));
    assert!(insurer.mapped.manifest().sees_visits);
    let visited = insurer.mapped.visit(&event, Memo::default(), insurer.host.within(20)).await;
    let Visited::Noted { memo } = visited else { panic!("{visited:?}") };
    assert!(insurer.last().contains("event=\"admitted\">ZY20200702001<"), "{}", insurer.last());

    let QuoteAnswer::Quote(quote) = insurer.quote(memo).await else { panic!("no quote") };
    let amounts: Vec<_> =
        quote.amounts.iter().map(|quoted| (quoted.payer.as_str(), quoted.amount.fen())).collect();
    assert_eq!(amounts, [("accident", 10_000), ("supplementary", 5_507)]);
    let sent = insurer.last();
    for part in [
        "<Case>案-7</Case>",
        "sex=\"未知\"",
        "time=\"202007021015",
        "<Admitted>20200624</Admitted>",
        "<Total>12000.00</Total>",
        "<Kind code=\"YW\" most=\"1000.00\">163.23</Kind>",
        "<Cert>371323195304121265</Cert>",
        &format!("<Name>{ESCAPED}</Name>"),
    ] {
        assert!(sent.contains(part), "no {part} in {sent}");
    }

    let commit = commit_of("op-1", &quote);
    let prepared = insurer.mapped.prepare(&commit).unwrap();
    let deadline = insurer.host.within(20);
    assert_eq!(insurer.mapped.status(&prepared, deadline).await, Status::NotFound);
    let answer = insurer.mapped.perform(&prepared, deadline).await;
    let Performed::Committed { amounts, reference } = answer else { panic!("{answer:?}") };
    assert_eq!(fen(&amounts), [("accident", 10_000), ("supplementary", 5_507)]);
    assert_eq!(reference, "号op-1");
    let sent = insurer.last();
    assert!(sent.contains("<Kind code=\"YW\">100.00</Kind>") && sent.contains("<Case>案-7</Case>"), "{sent}");
    let status = insurer.mapped.status(&prepared, deadline).await;
    assert!(matches!(status, Status::Done { .. }), "{status:?}");

    let undo = insurer.mapped.prepare(&reversal_of("op-2", &commit, &prepared)).unwrap();
    let answer = insurer.mapped.perform(&undo, deadline).await;
    let Performed::Committed { amounts, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(fen(&amounts), [("accident", 10_000), ("supplementary", 5_507)]);
    assert!(matches!(insurer.mapped.status(&undo, deadline).await, Status::Done { .. }));
    assert_eq!(insurer.book.entries().len(), 2);

    let book = insurer.mapped.statement("2020-07-02".parse().unwrap(), deadline).await.unwrap();
    let lines: Vec<_> = book
        .iter()
        .map(|line| {
            (line.operation_id.as_str(), line.payer.as_str(), line.amount.fen(), line.reference.as_str())
        })
        .collect();
    let expected = [
        ("op-1", "accident", 10_000, "号op-1"),
        ("op-1", "supplementary", 5_507, "号op-1"),
        ("op-2", "accident", -10_000, "号op-2"),
        ("op-2", "supplementary", -5_507, "号op-2"),
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_mapping_without_a_book_says_so() {
    let certificates = Certificates::new();
    let (without, _) = EXAMPLE.split_once("[statement]").unwrap();
    let here = ("https://core.kangtai.example", "https://localhost:1");
    let (mapped, host) = mapped(without, here, &certificates).unwrap();
    let book = mapped.statement("2020-07-02".parse().unwrap(), host.within(20)).await.unwrap_err();
    assert!(book.why.contains("no [statement]"), "{}", book.why);
}

#[tokio::test]
async fn an_answer_that_is_not_as_agreed_is_no_answer() {
    let insurer = Insurer::start().await;
    let commit = commit_of("op-1", &insurer.quoted().await);
    let prepared = insurer.mapped.prepare(&commit).unwrap();
    let kind = |code: &str, pay: &str| format!("<Kind code='{code}'><Pay>{pay}</Pay></Kind>");
    let both = format!("{}{}", kind("YW", "100.00"), kind("BC", "55.07"));
    let of = |inner: &str| format!("<Response code='0'><Serial>op-1</Serial><No>1</No>{inner}</Response>");
    let kinds = |inner: &str, total: &str| of(&format!("<Kinds>{inner}</Kinds><Total>{total}</Total>"));
    for (text, says) in [
        (kinds(&both, "155.08"), "the amounts add up to 155.07, not to the 155.08 that is stated"),
        (kinds(&kind("YW", "100.00"), "100.00"), "supplementary must be answered once, and is 0 times"),
        (
            kinds(&format!("{both}{}", kind("BC", "0")), "155.07"),
            "supplementary must be answered once, and is 2",
        ),
        (
            kinds(&format!("{both}{}", kind("XX", "0")), "155.07"),
            "commit.answer.each.payer: @code is not written",
        ),
        (
            kinds(&both.replace("100.00", "1e2"), "155.07"),
            "commit.answer.each.amount: Pay is not written as agreed",
        ),
        (kinds(&both.replace("<Pay>100.00</Pay>", ""), "55.07"), "each.amount: the answer has no Pay"),
        (of(&format!("<Kinds>{both}</Kinds>")), "commit.answer.total: the answer has no Response/Total"),
        (kinds(&both, "155.07").replace("code='0'", "code='7'"), "the status \"7\" is not listed"),
        (kinds(&both, "155.07").replace("code='0'", ""), "the answer has no Response/@code"),
        (kinds(&both, "155.07").replace("op-1", "op-0"), "the answer names another operation"),
        (kinds(&both, "155.07").replace("<Serial>op-1</Serial>", ""), "the answer has no Response/Serial"),
        (kinds(&both, "155.07").replace("Response", "Answer"), "the answer has no Response/@code"),
        (format!("{}<x/>", kinds(&both, "155.07")), "no XML (line 1)"),
        (format!("<!DOCTYPE x>{}", kinds(&both, "155.07")), "no XML (line 1)"),
        ("{\"code\":\"0\"}".to_owned(), "no XML (line 1)"),
        (String::new(), "empty"),
    ] {
        *insurer.instead.lock().unwrap() = Some(text.clone());
        let answer = insurer.mapped.perform(&prepared, insurer.host.within(20)).await;
        let Performed::Unknown { why, .. } = answer else { panic!("{text} was taken for {answer:?}") };
        assert!(why.contains(says), "{text}: {why}");
    }
    *insurer.instead.lock().unwrap() = Some(kinds(&both, "155.07"));
    let answer = insurer.mapped.perform(&prepared, insurer.host.within(20)).await;
    assert!(matches!(answer, Performed::Committed { .. }), "as agreed: {answer:?}");
}

/// A control character has no place in XML; nothing is sent, and nothing breaks.
#[tokio::test]
async fn a_name_that_xml_cannot_hold_is_not_sent() {
    let insurer = Insurer::start().await;
    let mut ask = asked(Memo::default());
    ask.person.name = Some(Personal::new("王\u{1}明".to_owned()));
    let answer = insurer.mapped.quote(&ask, insurer.host.within(20)).await;
    let QuoteAnswer::Unavailable(told) = answer else { panic!("{answer:?}") };
    assert!(
        told.why.contains("not sent: holds a character that XML does not allow (quote.request, line 6)"),
        "{}",
        told.why
    );
    assert!(insurer.service.requests().is_empty());
}

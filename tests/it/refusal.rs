//! What a refusal says of the money and of what to do next: one does not contradict the other, whatever is wrong and
//! wherever the money is.

use yizhan::refusal::{Code, Money};
use yizhan_contract::Text;

/// Words that tell a sender to send.
const SEND: [&str; 5] = ["重新发送", "重发", "重试", "再试", "again"];
/// Words that tell a sender not to.
const DO_NOT: [&str; 2] = ["请勿", "o not "];
/// What they are told not to do.
const NOT_DONE: [&str; 2] = ["请勿重复发送", "Do not send it again"];

fn says(text: &Text, words: &[&str]) -> bool {
    words.iter().any(|word| text.zh.contains(word) || text.en.contains(word))
}

#[test]
fn what_is_said_of_the_money_is_a_fact_and_no_advice() {
    for money in Money::ALL {
        let (zh, en) = money.words();
        let text = Text::new(zh, en);
        assert!(!says(&text, &SEND) && !says(&text, &DO_NOT) && !says(&text, &["请"]), "{text:?}");
    }
}

#[test]
fn the_next_step_fits_what_is_wrong_and_where_the_money_is() {
    let nothing_moved = ["未发生资金变动", "o money moved", "o money has moved"];
    for code in Code::ALL {
        for money in Money::ALL {
            let (next, title) = (code.next_step(money), code.title());
            assert!(!next.zh.is_empty() && !next.en.is_empty(), "{code:?} {money:?}");
            let without =
                |text: &str| NOT_DONE.iter().fold(text.to_owned(), |text, not| text.replace(not, ""));
            let told_to = Text::new(without(&next.zh), without(&next.en));
            assert!(!(says(&told_to, &SEND) && says(&next, &DO_NOT)), "{code:?} {money:?}: {next:?}");
            if money == Money::NotMoved {
                continue;
            }
            assert!(
                !says(&next, &nothing_moved) && !says(&title, &nothing_moved),
                "{code:?} {money:?}: {next:?}"
            );
            // What is settled or being settled does not become another bill by being sent again with another figure.
            let corrects = says(&next, &["修正", "补全", "更正后", "Correct", "Fill in"]);
            assert!(!corrects, "{code:?} {money:?}: {next:?}");
        }
        let known = code.next_step(Money::Moved) != code.next_step(Money::BeingConfirmed);
        let is_of_the_request = code.next_step(Money::Moved) == code.next_step(Money::NotMoved);
        assert!(known || is_of_the_request, "{code:?} says the same of what moved and of what nobody knows");
    }
}

//! What is said in two languages says the same.

use yizhan_contract::Text;

/// Digits with their points, each figure once for each time it is said.
fn figures(text: &str) -> Vec<&str> {
    let parts = text.split(|c: char| !c.is_ascii_digit() && c != '.' && c != ',');
    let mut figures: Vec<&str> = parts.map(|part| part.trim_matches(['.', ','])).collect();
    figures.retain(|figure| !figure.is_empty());
    figures.sort_unstable();
    figures
}

/// Panics unless the text is Chinese and English, with the same figures in both.
pub(crate) fn in_both(name: &str, text: &Text) {
    assert!(!text.zh.is_ascii(), "{name}: {text:?} is not said in Chinese");
    assert_eq!(figures(&text.zh), figures(&text.en), "{name}: {text:?}");
}

//! JSON, value by value from its own text.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{DEPTH_MAX, Leaf, NODES_MAX, Node};

/// Members in their order, doubles included.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members<'de>, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// # Errors
/// Where it is no JSON, or more of it than an answer holds; the place is the error's.
pub(in crate::mapped) fn read(text: &str) -> Result<Node, serde_json::Error> {
    let whole: &RawValue = serde_json::from_str(text)?;
    node(whole.get(), 0, &mut 0)
}

fn node(text: &str, depth: usize, count: &mut usize) -> Result<Node, serde_json::Error> {
    *count += 1;
    if depth > DEPTH_MAX || *count > NODES_MAX {
        return Err(de::Error::custom("is nested too deep or holds too many values"));
    }
    let named = |members: Vec<(String, &RawValue)>, count: &mut usize| {
        let child = |(name, raw): (String, &RawValue)| Ok((name, node(raw.get(), depth + 1, count)?));
        members.into_iter().map(child).collect::<Result<Vec<_>, serde_json::Error>>()
    };
    Ok(match text.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = serde_json::from_str(text)?;
            Node::group(named(members, count)?)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            let items = items.into_iter().enumerate().map(|(nth, raw)| (nth.to_string(), raw)).collect();
            Node { is_list: true, ..Node::group(named(items, count)?) }
        }
        Some(b'"') => Node::of(Leaf::Text(serde_json::from_str(text)?)),
        Some(b't') => Node::of(Leaf::Flag(true)),
        Some(b'f') => Node::of(Leaf::Flag(false)),
        Some(b'n') => Node::of(Leaf::Null),
        _ => Node::of(Leaf::Number(text.to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Path;
    use super::*;

    const ANSWER: &str = r#" {"code":"00","data":{"paid":155.07,"big":123456789012345678901234567890.10,
        "items":[{"kind":"SUP","fen":15507},{"kind":"ACC","fen":-0}],"none":null,"yes":true,"a/b~c":"odd"},
        "twice":1,"twice":2} "#;

    #[test]
    fn values_are_found_as_they_were_written() {
        let answer = read(ANSWER).unwrap();
        for (path, expected) in [
            ("/code", Some("00")),
            ("/data/paid", Some("155.07")),
            ("/data/big", Some("123456789012345678901234567890.10")),
            ("/data/items/1/kind", Some("ACC")),
            ("/data/items/2/kind", None),
            ("/data/none", None),
            ("/data/yes", Some("true")),
            ("/data/a~1b~0c", Some("odd")),
            ("/data/paid/0", None),
            ("/Code", None),
        ] {
            let found = answer.leaf(&Path::json(path).unwrap()).unwrap();
            assert_eq!(found.and_then(Leaf::as_text), expected, "{path}");
        }
        for (path, wrong) in [("/twice", "more than one twice"), ("/data", "no single value")] {
            let error = answer.leaf(&Path::json(path).unwrap()).unwrap_err();
            assert!(error.en.contains(wrong), "{path}: {}", error.en);
        }
        assert_eq!(answer.each(&Path::json("/data/items").unwrap()).unwrap().len(), 2);
        for path in ["/code", "/nowhere/items"] {
            assert!(answer.each(&Path::json(path).unwrap()).is_err(), "{path}");
        }
        assert!(answer.each(&Path::json("/data/nowhere").unwrap()).unwrap().is_empty());
        assert!(Path::json("data").is_err());
    }

    #[test]
    fn what_is_no_json_or_too_much_of_it_is_refused() {
        let deep = "[".repeat(DEPTH_MAX + 2) + &"]".repeat(DEPTH_MAX + 2);
        let wide = format!("[{}1]", "1,".repeat(NODES_MAX));
        for text in ["", "{", "{}x", "<html>", "{\"a\":01}", "NaN", &deep, &wide] {
            assert!(read(text).is_err(), "{:.40}", text);
        }
    }
}

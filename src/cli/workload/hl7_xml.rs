//! A message with bars as XML: by the standard (HL7 v2.xml), and as the Mirth engine writes it.

/// Fields with parts, what their type is called, and the type of its first part where that has parts of its own.
const TYPES: [(&str, &str, &str); 19] = [
    ("MSH.3", "HD", ""),
    ("MSH.4", "HD", ""),
    ("MSH.5", "HD", ""),
    ("MSH.6", "HD", ""),
    ("MSH.7", "TS", ""),
    ("MSH.9", "MSG", ""),
    ("MSH.11", "PT", ""),
    ("MSH.12", "VID", ""),
    ("EVN.2", "TS", ""),
    ("PID.3", "CX", ""),
    ("PID.5", "XPN", "FN"),
    ("PID.7", "TS", ""),
    ("PV1.3", "PL", ""),
    ("PV1.19", "CX", ""),
    ("DG1.3", "CE", ""),
    ("FT1.4", "DR", "TS"),
    ("FT1.7", "CE", ""),
    ("FT1.11", "CP", "MO"),
    ("FT1.12", "CP", "MO"),
];

/// HL7 v2.xml: parts are called by their types. `root` is the message's structure: `DFT_P03`.
pub(super) fn by_the_standard(message: &str, root: &str) -> String {
    let mut xml = format!("{DECLARATION}<{root} xmlns=\"urn:hl7-org:v2xml\">\n");
    for segment in segments(message) {
        let written = segment_of(segment, typed);
        // Charges stand in a group of their own.
        xml += &if segment.starts_with("FT1") {
            format!("<{root}.FINANCIAL>{written}</{root}.FINANCIAL>\n")
        } else {
            written + "\n"
        };
    }
    xml + &format!("</{root}>\n")
}

/// Parts are called by their places alone.
pub(super) fn as_mirth(message: &str) -> String {
    let mut xml = format!("{DECLARATION}<HL7Message>\n");
    for segment in segments(message) {
        xml += &segment_of(segment, placed);
        xml.push('\n');
    }
    xml + "</HL7Message>\n"
}

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

fn segments(message: &str) -> impl Iterator<Item = &str> {
    message.split('\r').filter(|segment| !segment.is_empty())
}

fn segment_of(segment: &str, parts_of: fn(&str, &str) -> String) -> String {
    let (name, fields) = segment.split_once('|').unwrap_or((segment, ""));
    let mut written = format!("<{name}>");
    let mut first = 1;
    let mut fields = fields.split('|');
    if name == "MSH" {
        let encoding = fields.next().unwrap_or_default();
        written += &format!("<MSH.1>|</MSH.1><MSH.2>{}</MSH.2>", escaped(encoding));
        first = 3;
    }
    for (number, field) in (first..).zip(fields).filter(|(_, field)| !field.is_empty()) {
        let element = format!("{name}.{number}");
        for repetition in field.split('~') {
            written += &format!("<{element}>{}</{element}>", parts_of(&element, repetition));
        }
    }
    written + &format!("</{name}>")
}

fn typed(element: &str, field: &str) -> String {
    match TYPES.iter().find(|(of, ..)| *of == element) {
        Some((_, kind, of_first)) => parts(kind, field, of_first),
        None => placed(element, field),
    }
}

fn placed(element: &str, field: &str) -> String {
    if field.contains(['^', '&']) { parts(element, field, "") } else { escaped(field) }
}

/// `of_first`: what the part of the first component is called, where it has one though nothing divides it.
fn parts(name: &str, field: &str, of_first: &str) -> String {
    let components = (1..).zip(field.split('^')).filter(|(_, component)| !component.is_empty());
    components
        .map(|(number, component)| {
            let name = format!("{name}.{number}");
            let inner = match component.split_once('&') {
                Some(_) => (1..)
                    .zip(component.split('&'))
                    .map(|(n, part)| leaf(&format!("{name}.{n}"), &escaped(part)))
                    .collect(),
                None if number == 1 && !of_first.is_empty() => {
                    leaf(&format!("{of_first}.1"), &escaped(component))
                }
                None => escaped(component),
            };
            leaf(&name, &inner)
        })
        .collect()
}

fn leaf(name: &str, text: &str) -> String {
    format!("<{name}>{text}</{name}>")
}

/// What bars had to escape stands in XML as it is.
fn escaped(text: &str) -> String {
    let escapes = [("\\F\\", "|"), ("\\S\\", "^"), ("\\R\\", "~"), ("\\T\\", "&"), ("\\E\\", "\\")];
    let text = escapes.iter().fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain));
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

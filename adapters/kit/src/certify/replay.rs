//! The command that sends a request again: by the same identity, over the same protocol, with the same bytes.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::exchange::{Asked, Exchange, Over};
use super::target::{Called, Identity, PairFiles};

/// Bytes of a body that stand in the command as they are: a system allows an argument so much and no more.
const WRITTEN_BYTES_MAX: usize = 4 * 1024;
/// From so many on one byte that is repeated is not written, but made.
const RUN_BYTES_MIN: usize = 256;
/// Deadlines farther away are meant as they stand.
const MEANT: SignedDuration = SignedDuration::from_hours(24);
/// A certificate that nobody vouches for, made when the command is run.
const STRANGER: &str = "stranger=$(mktemp -d) && openssl req -x509 -newkey rsa:2048 -nodes -days 1 \
-subj /CN=stranger.invalid -keyout \"$stranger/key.pem\" -out \"$stranger/cert.pem\" 2>/dev/null && ";

impl Exchange {
    /// For `sh`. Its deadline lies as far from when it is run as the request's did from when that was sent.
    pub(super) fn replay(&self, called: &Called) -> String {
        let Asked { over, method, path, content_type, body } = &self.asked;
        let (before, identity, address) = match over {
            Over::Usual(identity) => {
                let before = if *identity == Identity::Stranger { STRANGER } else { "" };
                (before, shown(called, *identity), called.address(path))
            }
            Over::PlainText => ("", String::new(), called.plain_address(path)),
        };
        let mut curl = format!("curl -sS -i{identity} -X {method} {}", quoted(&address));
        let Some(body) = body else { return format!("{before}{curl}") };
        let _ = write!(curl, " -H 'Content-Type: {content_type}' --data-binary");
        match std::str::from_utf8(body) {
            Ok(text) if body.len() <= WRITTEN_BYTES_MAX && !text.contains('\0') => {
                format!("{before}{curl} {}", self.in_time(quoted(text)))
            }
            _ => format!("{before}{} | {curl} @-", self.in_time(fed(body))),
        }
    }

    /// The command with a deadline of its own time.
    fn in_time(&self, command: String) -> String {
        let Some((written, ahead)) = self.deadline() else { return command };
        let again = format!("'\"$(date -u -d '{ahead}' +%Y-%m-%dT%H:%M:%S.%3NZ)\"'");
        command.replace(&written, &again)
    }

    /// The deadline of the request as it is written, and how far it lies from when that was sent.
    fn deadline(&self) -> Option<(String, String)> {
        let body: Value = serde_json::from_slice(self.asked.body.as_deref()?).ok()?;
        let written = body.get("head")?.get("deadline")?.as_str()?;
        let ahead = written.parse::<Timestamp>().ok()?.duration_since(self.at);
        let words = match ahead.as_millis() {
            ms @ -999..=999 => format!("{}0.{:03} seconds", if ms < 0 { '-' } else { '+' }, ms.abs()),
            _ => format!("{:+} seconds", ahead.round(jiff::Unit::Second).ok()?.as_secs()),
        };
        (ahead.abs() < MEANT).then(|| (written.to_owned(), words))
    }
}

/// What curl is told of certificates.
fn shown(called: &Called, identity: Identity) -> String {
    let Some(files) = &called.tls else { return String::new() };
    let file = |path: &std::path::Path| quoted(&path.display().to_string());
    let of_pair = |pair: &PairFiles| (file(&pair.certificate), file(&pair.key));
    let pair = match identity {
        Identity::Own => Some((file(&files.certificate), file(&files.key))),
        Identity::Expired => files.expired.as_ref().map(of_pair),
        Identity::Next => files.next.as_ref().map(of_pair),
        Identity::Stranger => Some(("\"$stranger/cert.pem\"".to_owned(), "\"$stranger/key.pem\"".to_owned())),
        Identity::Nobody => None,
    };
    let mut options = format!(" --cacert {}", file(&files.ca));
    if let Some((certificate, key)) = pair {
        let _ = write!(options, " --cert {certificate} --key {key}");
    }
    options
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Commands that write these bytes.
fn fed(body: &[u8]) -> String {
    let (mut commands, mut written) = (Vec::new(), Vec::new());
    let printed = |bytes: &[u8]| (!bytes.is_empty()).then(|| format!("printf {}", escaped(bytes)));
    for run in body.chunk_by(|one, next| one == next) {
        if run.len() < RUN_BYTES_MIN {
            written.extend_from_slice(run);
            continue;
        }
        commands.extend(printed(&std::mem::take(&mut written)));
        commands.push(format!("head -c {} /dev/zero | tr '\\0' {}", run.len(), escaped(&run[..1])));
    }
    commands.extend(printed(&written));
    match commands.as_slice() {
        [command] => command.clone(),
        commands => format!("{{ {}; }}", commands.join("; ")),
    }
}

/// By the escapes that every `printf` knows.
fn escaped(bytes: &[u8]) -> String {
    let mut text = "'".to_owned();
    for byte in bytes {
        match byte {
            b'%' => text.push_str("%%"),
            b' '..=b'~' if !matches!(byte, b'\'' | b'\\') => text.push(char::from(*byte)),
            _ => {
                let _ = write!(text, "\\{byte:03o}");
            }
        }
    }
    text + "'"
}

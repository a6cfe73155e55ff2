//! What reqwest's errors mean for a call. Their own text may show an address, so it goes no further.

use std::error::Error;
use std::io;

use super::trouble::{Trouble, Unreachable};

/// An error before or after the head of an answer, once so many bytes of its body had come.
pub(super) fn trouble_of(error: &reqwest::Error, received: usize) -> Trouble {
    if error.is_connect() {
        return Trouble::Unreachable(why_unreachable(error));
    }
    if error.is_builder() {
        return Trouble::NotWritten(super::target::no_address());
    }
    match alert(error) {
        Some(alert) => Trouble::TlsRefused(alert),
        None => Trouble::Broken { received },
    }
}

/// Under TLS 1.3 a payer refuses a certificate only once we have begun to speak. HTTP/2 hands its connection's error on
/// to every stream as words, so it is known by them.
fn alert(error: &reqwest::Error) -> Option<String> {
    let said = causes(error).map(ToString::to_string);
    let mut alerts = said.filter_map(|said| Some(said.split_once("received fatal alert: ")?.1.to_owned()));
    alerts.next()
}

fn why_unreachable(error: &reqwest::Error) -> Unreachable {
    match tls_error(error) {
        Some(rustls::Error::AlertReceived(alert)) => return Unreachable::TlsRefused(format!("{alert:?}")),
        Some(why) => return Unreachable::Identity(why.to_string()),
        None => {}
    }
    if error.is_dns() {
        return Unreachable::Name;
    }
    if error.is_timeout() {
        return Unreachable::InTime;
    }
    let kind = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    Unreachable::Other(kind.map_or_else(|| "TLS, HTTP".to_owned(), |kind| kind.to_string()))
}

fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Inside of I/O errors too, which hide what they were made of from `source`, one in another.
fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    causes(error).find_map(|cause| match cause.downcast_ref::<io::Error>() {
        Some(io) => innermost(io).get_ref()?.downcast_ref(),
        None => cause.downcast_ref(),
    })
}

fn innermost(error: &io::Error) -> &io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>()) {
        Some(inner) => innermost(inner),
        None => error,
    }
}

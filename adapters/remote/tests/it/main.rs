//! One test binary: adapters against real servers on this machine, over TLS.

#[cfg(test)]
mod book;
#[cfg(test)]
mod built_in;
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod given;
#[cfg(test)]
mod journal;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod mapped_json;
#[cfg(test)]
mod mapped_xml;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod odd;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod raw;
#[cfg(test)]
mod service;
#[cfg(test)]
mod transport;

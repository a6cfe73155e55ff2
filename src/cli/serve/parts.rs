//! What a gateway is made of while it serves. Where one part ends by itself all of them stop: half a gateway would look
//! alive.

use std::fmt::Display;
use std::io;

use tokio::sync::watch;

use crate::telemetry::{self, Channel};

/// A part that ended though nobody asked the gateway to stop.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum Ended {
    #[error(
        "{name} 端口意外关闭（{why}），网关已停止，请重新启动 | the {name} port ended by itself ({why}); the gateway has stopped, start it again"
    )]
    Port { name: &'static str, why: String },
    #[error(
        "{zh}意外中断（{why}），网关已停止，请重新启动并告知开发者 | {en} broke off ({why}); the gateway has stopped, start it again and tell its makers",
        zh = .work.names().0,
        en = .work.names().1
    )]
    Work { work: Work, why: String },
}

/// What goes on beside the ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Work {
    /// Stays whose time has come are taken up.
    TakingUp,
    /// Hospitals are told.
    Telling,
}

impl Work {
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::TakingUp => ("定时处理", "taking up stays whose time has come"),
            Self::Telling => ("结算单回送", "telling hospitals"),
        }
    }
}

/// Serves a port.
///
/// # Errors
/// Where it ends by itself; then the gateway is told to stop.
pub(super) async fn port(
    channel: Channel,
    serving: impl Future<Output = io::Result<()>>,
    halt: &watch::Sender<bool>,
) -> Result<(), Ended> {
    let ended = serving.await;
    if ended.is_ok() && *halt.borrow() {
        return Ok(());
    }
    let why = said(ended);
    telemetry::port_ended(channel, &why);
    halt.send_replace(true);
    let name = if channel == Channel::Http { "HTTP" } else { "MLLP" };
    Err(Ended::Port { name, why })
}

/// Works in a task of its own.
///
/// # Errors
/// As [`port`], a panic included.
pub(super) async fn work(
    work: Work,
    working: impl Future<Output = ()> + Send + 'static,
    halt: &watch::Sender<bool>,
) -> Result<(), Ended> {
    let ended = tokio::spawn(working).await;
    if ended.is_ok() && *halt.borrow() {
        return Ok(());
    }
    let why = said(ended);
    telemetry::work_broke_off(work.names().1, &why);
    halt.send_replace(true);
    Err(Ended::Work { work, why })
}

fn said(ended: Result<(), impl Display>) -> String {
    ended.err().map_or_else(|| "-".to_owned(), |why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::super::{Exit, house};
    use super::*;
    use crate::runtime::Shutdown;

    async fn exit_of(ended: Result<(), Ended>, halted: &mut Shutdown) -> Option<Exit> {
        halted.requested().await;
        ended.map_err(anyhow::Error::from).err().map(|error| house::exit_of(&error))
    }

    #[tokio::test]
    async fn a_port_that_ends_by_itself_stops_the_gateway_with_4() {
        for (ended, is_asked, exit) in [
            (Ok(()), true, None),
            (Ok(()), false, Some(Exit::Failed)),
            (Err("gone"), false, Some(Exit::Failed)),
            (Err("gone"), true, Some(Exit::Failed)),
        ] {
            let (halt, mut halted) = Shutdown::new();
            halt.send_replace(is_asked);
            let serving = async { ended.map_err(io::Error::other) };
            let ended = port(Channel::Http, serving, &halt).await;
            assert_eq!(exit_of(ended, &mut halted).await, exit);
        }
    }

    #[tokio::test]
    async fn work_that_breaks_off_stops_the_gateway_with_4() {
        for (is_whole, is_asked, exit) in [
            (true, true, None),
            (true, false, Some(Exit::Failed)),
            (false, false, Some(Exit::Failed)),
            (false, true, Some(Exit::Failed)),
        ] {
            let (halt, mut halted) = Shutdown::new();
            halt.send_replace(is_asked);
            let ended = work(Work::Telling, async move { assert!(is_whole, "a defect") }, &halt).await;
            let said = ended.as_ref().err().map(ToString::to_string).unwrap_or_default();
            assert!(is_whole || said.contains("结算单回送") && said.contains("a defect"), "{said}");
            assert_eq!(exit_of(ended, &mut halted).await, exit);
        }
    }
}

//! Ending an adapter, seeing that it has ended, and starting it again.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use yizhan_contract::Text;

use super::asking::POLL_EACH;
use super::bench::Bench;
use super::raw::Raw;
use super::restart::Restart;
use super::verdict::{Stop, Verdict, failed, not_run};

/// After a start, before the adapter is given up.
pub(super) const STARTS_WITHIN: Duration = Duration::from_secs(30);
const START_POLL_EACH: Duration = Duration::from_millis(50);

/// After an adapter said what it is, for the system behind it.
const SYSTEM_WITHIN: Duration = Duration::from_secs(30);

/// After it was ended, for its connections to be gone: the system cuts those of a killed process at once.
const GONE_WITHIN: Duration = Duration::from_secs(3);

/// A connection with half a request on it, which whoever took it has to hold until it ends.
pub(super) struct Watched {
    connection: Raw,
    /// Over TLS a goodbye is a message, which only a process that lives can send.
    is_tls: bool,
}

/// What became of a connection whose adapter was to be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Cut,
    /// Whoever held it has closed it.
    Closed,
    Open,
}

impl Watched {
    async fn ending(mut self) -> Ending {
        let (mut said, mut is_answered) = ([0; 512], false);
        let reading = async {
            loop {
                match self.connection.read(&mut said).await {
                    Ok(0) if self.is_tls || is_answered => return Ending::Closed,
                    Err(_) if is_answered => return Ending::Closed,
                    Ok(0) | Err(_) => return Ending::Cut,
                    Ok(_) => is_answered = true,
                }
            }
        };
        tokio::time::timeout(GONE_WITHIN, reading).await.unwrap_or(Ending::Open)
    }
}

impl Bench {
    /// A connection to see the adapter's end by.
    pub(super) async fn watched(&self) -> Result<Watched, Stop> {
        let is_tls = self.caller.called.tls.is_some();
        match self.caller.hold_half_a_request("/v1/commit").await {
            Ok(connection) => Ok(Watched { connection, is_tls }),
            Err(why) => not_run(format!("无法连接：{why}"), format!("no connection: {why}")),
        }
    }

    /// How the command has ended that was to run the adapter. Absent: it runs, or there is none.
    pub(super) fn has_ended(&self) -> Option<String> {
        self.restart.as_ref().and_then(|restart| restart.has_ended())
    }

    /// Ends the adapter without a warning, starts it again and waits until it answers.
    pub(super) async fn restarted(&self) -> Verdict {
        self.restart()?;
        self.restarted_under(self.watched().await?).await
    }

    /// The same under a connection that was open before: unless it is cut, nothing was killed and nothing shown.
    pub(super) async fn restarted_under(&self, watched: Watched) -> Verdict {
        self.ended_and_begun().await?;
        match watched.ending().await {
            Ending::Cut => self.begins_anew().await,
            Ending::Open => not_run(
                "适配器没有被结束：此前建立的连接在重启之后仍未中断。--restart 的命令须以 kill -9 结束应答此网址的进程（连同其前面的代理）再启动它，完成后才返回；--start 的命令须由它自己在前台应答此网址",
                "the adapter was not ended: a connection from before is still open after the restart. The command of --restart has to end whatever answers at this address with kill -9 (a proxy in front of it included), start it again, and return only then; that of --start has to answer there itself, in the foreground",
            ),
            Ending::Closed => not_run(
                "适配器不是被 kill -9 结束的：重启时它自行关闭了此前建立的连接，说明它收到了预告，或早已断开这条连接。--restart 的命令须一开始就以 kill -9 结束它",
                "the adapter was not ended with kill -9: at the restart it closed a connection from before by itself, so it was warned, or had given that connection up. The command of --restart has to kill it at once, with kill -9",
            ),
        }
    }

    /// For one that answers no more, so that there is no connection to see its end by.
    pub(super) async fn revived(&self) -> Verdict {
        self.ended_and_begun().await?;
        self.begins_anew().await
    }

    fn restart(&self) -> Result<&dyn Restart, Stop> {
        self.restart.as_deref().map_or_else(
            || {
                not_run(
                    "需要 --start 或 --restart，评测工具才能中断并重启适配器",
                    "needs --start or --restart, so that the kit can end the adapter and start it again",
                )
            },
            Ok,
        )
    }

    async fn ended_and_begun(&self) -> Verdict {
        let restarted = self.restart()?.restart().await;
        restarted
            .or_else(|why| not_run(format!("无法重启：{why}"), format!("cannot be started again: {why}")))
    }

    async fn begins_anew(&self) -> Verdict {
        self.forgets_what_was_written();
        self.answers_again(STARTS_WITHIN).await?;
        // The system behind it may have been ended with it.
        self.waits_for_its_system().await;
        Ok(())
    }

    /// Waits until an adapter that was just started says what it is, as long as what runs it does.
    pub(super) async fn answers_again(&self, within: Duration) -> Verdict {
        let until = tokio::time::Instant::now() + within;
        loop {
            let answers = self.says_what_it_is().await;
            if let Some(how) = self.has_ended() {
                return not_run(
                    format!("--start 的命令已经结束（{how}）"),
                    format!("the command of --start has ended ({how})"),
                );
            }
            if answers {
                return Ok(());
            }
            if until <= tokio::time::Instant::now() {
                return failed(
                    Text::new("重启后 30 秒内恢复服务", "answers again within 30 s of its start"),
                    Text::new("没有应答", "no answer"),
                    None,
                );
            }
            tokio::time::sleep(START_POLL_EACH).await;
        }
    }

    async fn says_what_it_is(&self) -> bool {
        self.caller.begin_anew().is_ok()
            && self.caller.called.connect().await.is_ok()
            && self.caller.get("/v1/describe").await.status() == Some(200)
    }

    /// An adapter may be up before the system behind it is: a quote it cannot give yet is asked for again for a while. What
    /// it answers in the end is for the trials to judge.
    pub(super) async fn waits_for_its_system(&self) {
        let until = tokio::time::Instant::now() + SYSTEM_WITHIN;
        while self.is_unavailable().await && tokio::time::Instant::now() < until {
            tokio::time::sleep(POLL_EACH).await;
        }
    }

    /// Whether it says so itself, of a stay it is told of or of its quote.
    async fn is_unavailable(&self) -> bool {
        let person = &self.data.people.covered;
        let came = match self.stay(person).await {
            Ok(stay) => {
                let asked = self.ask(person, &stay, &self.manifest().serves, None);
                Some(self.caller.post("/v1/quote", &asked).await.0)
            }
            Err(Stop::Failed(failure)) => failure.exchange,
            Err(_) => None,
        };
        let answer = came.and_then(|came| came.json());
        answer.is_some_and(|answer| answer["answer"] == "unavailable")
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    /// What the other side says and whether it stays, and how that is read over plain TCP and over TLS.
    const CASES: &[(&str, &[u8], bool, [Ending; 2])] = &[
        ("gone without a word", b"", false, [Ending::Cut, Ending::Closed]),
        ("gone after an answer", b"HTTP/1.1 408 Request Timeout\r\n\r\n", false, [Ending::Closed; 2]),
        ("there still", b"", true, [Ending::Open; 2]),
        ("there still, and answers", b"HTTP/1.1 408 Request Timeout\r\n\r\n", true, [Ending::Open; 2]),
    ];

    fn watched(connection: DuplexStream, is_tls: bool) -> Watched {
        Watched { connection: Box::pin(connection), is_tls }
    }

    #[tokio::test(start_paused = true)]
    async fn how_a_connection_ended_is_told_by_what_came_before() {
        for (name, says, stays, endings) in CASES {
            for (is_tls, ending) in [false, true].into_iter().zip(endings) {
                let (here, mut there) = duplex(1024);
                there.write_all(says).await.unwrap();
                let there = stays.then_some(there);
                assert_eq!(watched(here, is_tls).ending().await, *ending, "{name}, TLS: {is_tls}");
                drop(there);
            }
        }
    }
}

//! How an adapter is reached: by the protocol, once its service has said what it is, by a mapping, or in the program.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use yizhan_contract::instant::later;
use yizhan_contract::payer::Payer;
use yizhan_contract::{PayerCode, Text};
use yizhan_remote::{
    ConnectError, Connection, Host, Journal, Mapped, Remote, Standing, Target, TargetError, Trouble,
};
use yizhan_rules::toml_file::Mistake;

use super::built_in::BuiltIn;
use super::file::{AdapterFile, Way};
use super::watched::{Unheard, Watch};
use crate::settlement::absent::Absent;

/// How long a service may take to say what it is.
const DESCRIBE_WITHIN: SignedDuration = SignedDuration::from_secs(2);

#[derive(Clone)]
pub(super) enum Reach {
    Protocol(Arc<Remote>),
    /// Its service has not said yet what it is; asked again at every look.
    UnheardOf(Arc<str>),
    Mapped(Arc<Mapped>),
    BuiltIn(Arc<dyn Payer>),
}

/// How an adapter is reached, and what its service said of itself just now.
pub(super) struct Reached {
    pub(super) reach: Reach,
    pub(super) said: Said,
}

pub(super) enum Said {
    /// What `reach` goes by; of a mapping and of a payer of the program that is always so.
    Now,
    /// Nothing.
    Nothing,
    /// What cannot be: `reach` goes by what it said before.
    Nonsense(Mistake),
}

/// What adapters share; of one adapter, with a host of its own.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) host: Arc<dyn Host>,
    pub(super) journal: Journal,
    pub(super) built_in: BuiltIn,
}

impl Shared {
    pub(super) fn deadline(&self) -> Timestamp {
        later(self.host.now(), DESCRIBE_WITHIN)
    }

    /// One that is `known`, and led to as it was, is the same as before: what is under way counts, and so does that it
    /// is left alone. Only what its service says of itself may be something else by now.
    ///
    /// # Errors
    /// Every mistake of a mapping, or what is wrong with address, certificates or manifest.
    pub(super) async fn reach(
        &self,
        file: &AdapterFile,
        known: Option<Reach>,
    ) -> Result<Reached, Vec<Mistake>> {
        let reach = match (known, &file.way) {
            (Some(Reach::Protocol(remote)), Way::Protocol(target)) => {
                return self.describe_again(remote, target).await;
            }
            (Some(known @ (Reach::Mapped(_) | Reach::BuiltIn(_))), _) => known,
            (_, Way::Protocol(target)) => return self.describe(&self.connection(target)).await,
            (_, Way::Mapping(path)) => Reach::Mapped(Arc::new(self.mapped(file, path)?)),
            (_, Way::BuiltIn) => match self.built_in.payer(&file.name) {
                Some(Ok(payer)) => self.recorded(file, payer)?,
                Some(Err(why)) => {
                    let text = Text::new(format!("无法启用（{why}）"), format!("cannot be used: {why}"));
                    return Err(vec![Mistake::at("built_in", text)]);
                }
                None => return Err(vec![not_built_in()]),
            },
        };
        Ok(Reached { reach, said: Said::Now })
    }

    fn connection(&self, target: &Target) -> Connection {
        let (host, journal) = (Arc::clone(&self.host), self.journal.clone());
        Connection { target: target.clone(), host, journal }
    }

    fn recorded(&self, file: &AdapterFile, payer: Arc<dyn Payer>) -> Result<Reach, Vec<Mistake>> {
        let (name, host, journal) = (Arc::from(&*file.name), Arc::clone(&self.host), self.journal.clone());
        let recorded = yizhan_remote::BuiltIn::new(name, payer, host, journal);
        let wrong = |(key, what): (&str, Text)| vec![Mistake::at(format!("describe: {key}"), what)];
        recorded.map(|payer| Reach::BuiltIn(Arc::new(payer))).map_err(wrong)
    }

    /// What can be said of a file without asking anybody.
    ///
    /// # Errors
    /// Every mistake of its mapping.
    pub(super) fn check(&self, file: &AdapterFile) -> Result<(), Vec<Mistake>> {
        match &file.way {
            Way::Protocol(target) => target.check_files().map_err(|why| vec![of_target(target, &why)]),
            Way::BuiltIn if self.built_in.has(&file.name) => Ok(()),
            Way::BuiltIn => Err(vec![not_built_in()]),
            Way::Mapping(path) => self.mapped(file, path).map(|_| ()),
        }
    }

    fn mapped(&self, file: &AdapterFile, path: &Path) -> Result<Mapped, Vec<Mistake>> {
        let placed = |mistake: yizhan_remote::Mistake| {
            Mistake::at(format!("mapping: {}", mistake.place), mistake.text)
        };
        Mapped::load(&file.name, path, Arc::clone(&self.host), self.journal.clone())
            .map_err(|error| error.mistakes.into_iter().map(placed).collect())
    }

    async fn describe(&self, connection: &Connection) -> Result<Reached, Vec<Mistake>> {
        let reach = match Remote::connect(connection, self.deadline()).await {
            Ok(remote) => Reach::Protocol(Arc::new(remote)),
            Err(ConnectError::NoAnswer(trouble)) => {
                let reach = Reach::UnheardOf(trouble.sentence().into());
                return Ok(Reached { reach, said: Said::Nothing });
            }
            Err(why) => return Err(vec![of_connection(&connection.target, why)]),
        };
        Ok(Reached { reach, said: Said::Now })
    }

    async fn describe_again(&self, remote: Arc<Remote>, target: &Target) -> Result<Reached, Vec<Mistake>> {
        let (remote, said) = match remote.describe(self.deadline()).await {
            Ok(manifest) if manifest == *remote.manifest() => (remote, Said::Now),
            Ok(manifest) => {
                let anew = Remote::new(&self.connection(target), manifest);
                (Arc::new(anew.map_err(|why| vec![of_connection(target, why)])?), Said::Now)
            }
            Err(why) => (remote, nonsense(&why).map_or(Said::Nothing, Said::Nonsense)),
        };
        Ok(Reached { reach: Reach::Protocol(remote), said })
    }
}

/// What a service says of itself that cannot be; absent where it says nothing at all.
pub(super) fn nonsense(why: &ConnectError) -> Option<Mistake> {
    match why {
        ConnectError::Manifest { key, what } => Some(Mistake::at(format!("describe: {key}"), what.clone())),
        ConnectError::NoAnswer(
            trouble @ (Trouble::Unreadable(_)
            | Trouble::Odd(_)
            | Trouble::TooLong { .. }
            | Trouble::Status { .. }),
        ) => Some(Mistake::at("describe", trouble.text())),
        ConnectError::NoAnswer(_) | ConnectError::Target(_) => None,
    }
}

fn of_connection(target: &Target, why: ConnectError) -> Mistake {
    match why {
        ConnectError::Target(why) => of_target(target, &why),
        ConnectError::NoAnswer(trouble) => Mistake::at("describe", trouble.text()),
        ConnectError::Manifest { key, what } => Mistake::at(format!("describe: {key}"), what),
    }
}

/// At the key that names what is wrong.
fn of_target(target: &Target, why: &TargetError) -> Mistake {
    let is_at =
        |file: Option<&PathBuf>| matches!(why, TargetError::Unreadable { path, .. } if file == Some(path));
    let tls = target.tls.as_ref();
    let key = match why {
        _ if is_at(tls.map(|tls| &tls.ca)) => "ca",
        _ if is_at(tls.and_then(|tls| tls.key.as_ref())) => "key",
        TargetError::Unreadable { .. } | TargetError::Unusable(_) => "certificate",
        _ => "url",
    };
    Mistake::at(key, why.text())
}

fn not_built_in() -> Mistake {
    Mistake::at(
        "built_in",
        Text::new("本程序中没有以 name 登记的支付方", "this program has no payer registered under name"),
    )
}

impl Reach {
    /// The adapter, where it has said what it is.
    pub(super) fn known(&self) -> Option<Arc<dyn Payer>> {
        match self {
            Self::Protocol(remote) => Some(Arc::clone(remote) as _),
            Self::Mapped(mapped) => Some(Arc::clone(mapped) as _),
            Self::BuiltIn(payer) => Some(Arc::clone(payer)),
            Self::UnheardOf(_) => None,
        }
    }

    /// The adapter as it can be called now.
    pub(super) fn payer(&self, name: &str, serves: &[PayerCode], watch: Arc<Watch>) -> Arc<dyn Payer> {
        match self {
            Self::UnheardOf(why) => {
                let inner = Absent::unheard_of(name, serves.to_vec(), why);
                Arc::new(Unheard { inner, watch })
            }
            Self::Protocol(_) | Self::Mapped(_) | Self::BuiltIn(_) => {
                self.known().unwrap_or_else(|| Arc::new(Absent::not_configured(name, serves.to_vec())))
            }
        }
    }

    /// It is left alone no longer.
    pub(super) fn call_again(&self) {
        match self {
            Self::Protocol(remote) => remote.call_again(),
            Self::Mapped(mapped) => mapped.call_again(),
            Self::BuiltIn(_) | Self::UnheardOf(_) => {}
        }
    }

    /// Whether it is called, or left alone because it does not answer.
    pub(super) fn standing(&self) -> Text {
        let standing = match self {
            Self::Protocol(remote) => remote.standing(),
            Self::Mapped(mapped) => mapped.standing(),
            Self::BuiltIn(_) => return Text::new("编入本程序", "is part of this program"),
            Self::UnheardOf(why) => {
                return Text::new(
                    format!("尚未应答 describe（{why}）"),
                    format!("has not answered describe: {why}"),
                );
            }
        };
        match standing {
            Standing::Closed => Text::new("正常应答", "answers"),
            Standing::Open { rest } => {
                let s = rest.as_secs();
                Text::new(format!("不应答，{s} 秒后再试"), format!("does not answer, tried again in {s} s"))
            }
            Standing::HalfOpen => {
                Text::new("不应答，下次询问时再试", "does not answer, tried with the next question")
            }
        }
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.standing().en)
    }
}

//! The arguments of a command, and what is said where they do not fit: clap speaks English only.

use clap::error::{ContextKind, ErrorKind};
use clap::{Command, CommandFactory, Error, FromArgMatches};
use yizhan_contract::Text;

use super::Cli;

/// Reads the arguments this program was started with.
pub(super) fn read() -> Result<Cli, Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// Prints help or version, or what is wrong with the arguments and what to do next.
pub(super) fn tell(error: &Error) {
    if error.use_stderr() {
        let words = std::env::args().skip(1);
        let (Text { zh, en }, asked) = (matter(error), asked_for(&command(), words));
        super::complain(&format!("{zh}；用法见 {asked} --help | {en}; {asked} --help says what it takes"));
    }
    // A broken pipe while printing is nobody's error.
    let _ = error.print();
}

/// The whole command line, with clap's own entries in both languages.
fn command() -> Command {
    let mut command = Cli::command();
    command.build();
    in_both_languages(command).mut_arg("version", |version| version.help("显示版本 | Print version"))
}

fn in_both_languages(command: Command) -> Command {
    let words = "显示帮助 | Print help";
    let command = command.mut_arg("help", |help| help.help(words).long_help(words));
    command.mut_subcommands(|below| match below.get_name() {
        "help" => below.about("显示某条命令的帮助 | Print the help of a command"),
        _ => in_both_languages(below),
    })
}

/// `yizhan roster import`: as far as the words name commands.
fn asked_for(command: &Command, words: impl Iterator<Item = String>) -> String {
    let (mut asked, mut command) = (command.get_name().to_owned(), command);
    for word in words {
        let Some(below) = command.find_subcommand(&word) else { break };
        asked = format!("{asked} {}", below.get_name());
        command = below;
    }
    asked
}

/// What does not fit; names arguments, never the values given for them.
fn matter(error: &Error) -> Text {
    let named = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let argument = named(ContextKind::InvalidArg);
    let is_empty = named(ContextKind::InvalidValue).is_empty();
    match error.kind() {
        ErrorKind::UnknownArgument => {
            Text::new(format!("没有参数 {argument}"), format!("there is no argument {argument}"))
        }
        ErrorKind::InvalidSubcommand => {
            let name = named(ContextKind::InvalidSubcommand);
            Text::new(format!("没有命令 {name}"), format!("there is no command {name}"))
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Text::new("请写明子命令", "name a command")
        }
        ErrorKind::MissingRequiredArgument => {
            Text::new(format!("缺少参数 {argument}"), format!("{argument} is missing"))
        }
        ErrorKind::InvalidValue if is_empty => {
            Text::new(format!("参数 {argument} 缺少取值"), format!("{argument} lacks its value"))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            Text::new(format!("参数 {argument} 的取值无效"), format!("the value of {argument} does not fit"))
        }
        ErrorKind::ArgumentConflict => {
            let other = named(ContextKind::PriorArg);
            Text::new(
                format!("参数 {argument} 不能与 {other} 同时使用，也不能重复"),
                format!("{argument} goes neither with {other} nor twice"),
            )
        }
        _ => Text::new(format!("参数有误 {argument}"), format!("the arguments do not fit {argument}")),
    }
}

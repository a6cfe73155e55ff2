//! stub
use super::Exit;
use clap::Args;
#[derive(Debug, Args)]
pub(super) struct ServeArgs {}
pub(super) fn run(_: ServeArgs) -> anyhow::Result<Exit> {
    Ok(Exit::Ok)
}

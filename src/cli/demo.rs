//! stub
use super::Exit;
use clap::Args;
#[derive(Debug, Args)]
pub(super) struct DemoArgs {}
pub(super) fn run(_: DemoArgs) -> anyhow::Result<Exit> {
    Ok(Exit::Ok)
}

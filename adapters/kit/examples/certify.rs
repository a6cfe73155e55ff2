//! Certifies an adapter from the command line: `adapters/README.md` says how.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use yizhan_kit::certify::attestation::{VALID, make_key, sign};
use yizhan_kit::certify::{
    Certify, ClientFiles, Commanded, LOAD, Level, PATIENCE, Restart, Started, Target, Terminal, TestData,
    certify,
};

type Failed = Box<dyn std::error::Error>;

const USAGE: &str = "certify URL [--levels L0,L1,…] [--data FILE] [--ca FILE --certificate FILE --key FILE]
        [--start CMD | --restart CMD] [--report DIR] [--sign KEY]";

#[derive(Default)]
struct Arguments {
    url: String,
    levels: Option<Vec<Level>>,
    data: TestData,
    tls: [Option<PathBuf>; 3],
    restart: Option<Box<dyn Restart>>,
    report: Option<PathBuf>,
    sign: Option<PathBuf>,
}

fn read(given: impl IntoIterator<Item = String>) -> Result<Arguments, Failed> {
    let mut arguments = Arguments::default();
    let mut given = given.into_iter();
    arguments.url = given.next().ok_or(USAGE)?;
    while let Some(name) = given.next() {
        let value = given.next().ok_or(USAGE)?;
        match name.as_str() {
            "--levels" => {
                arguments.levels = Some(value.split(',').map(str::parse).collect::<Result<_, _>>()?)
            }
            "--data" => arguments.data = TestData::read(&std::fs::read_to_string(value)?)?,
            "--ca" => arguments.tls[0] = Some(value.into()),
            "--certificate" => arguments.tls[1] = Some(value.into()),
            "--key" => arguments.tls[2] = Some(value.into()),
            "--start" => arguments.restart = Some(Box::new(Started::begin(&value)?)),
            "--restart" => arguments.restart = Some(Box::new(Commanded(value))),
            "--report" => arguments.report = Some(value.into()),
            "--sign" => arguments.sign = Some(value.into()),
            _ => return Err(USAGE.into()),
        }
    }
    Ok(arguments)
}

/// Whether everything that was asked for has passed.
async fn run() -> Result<bool, Failed> {
    let arguments = read(std::env::args().skip(1))?;
    let tls = match arguments.tls {
        [Some(ca), Some(certificate), Some(key)] => Some(ClientFiles { ca, certificate, key }),
        _ => None,
    };
    let asked = Certify {
        target: Target { url: arguments.url, tls },
        data: arguments.data,
        levels: arguments.levels.unwrap_or_else(|| Level::ALL.to_vec()),
        restart: arguments.restart,
        load: LOAD,
        patience: PATIENCE,
    };
    let report = certify(asked, &Terminal::of(io::stdout())).await?;
    if let Some(folder) = &arguments.report {
        report.save(folder)?;
    }
    if let Some(key) = arguments.sign {
        if !key.exists() {
            make_key(&key)?;
        }
        let folder = arguments.report.unwrap_or_default();
        std::fs::write(folder.join("attestation.json"), sign(&report, &key, VALID)?)?;
    }
    Ok(report.is_good())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(4),
        Err(why) => {
            let _ = writeln!(io::stderr(), "{why}");
            ExitCode::from(2)
        }
    }
}

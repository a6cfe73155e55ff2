//! How the certificates are used, in lines to copy.

use std::path::Path;

use super::{CertsArgs, hospital_stem, payer_stem};
use crate::cli::house;

/// A client of the gateway, the gateway, and a payer with its adapter's file.
pub(super) fn text(args: &CertsArgs) -> anyhow::Result<String> {
    let folder = &args.folder;
    let folder = folder.canonicalize().map_err(|why| house::unusable(folder, &why))?;
    let shell = |name: &str| in_shell(&folder.join(name));
    let toml = |name: &str| in_toml(&folder.join(name));
    let mut text = format!(
        "\n# yizhan.toml\n[tls]\ncertificate = {}\nkey = {}\nclient_ca = {ca}\n[payers]\nsupplementary = \"{payer}\"\n",
        toml("server.pem"),
        toml("server-key.pem"),
        ca = toml("ca.pem"),
        payer = args.payers.first().map_or("rules", String::as_str),
    );
    for stem in args.hospitals.iter().take(1).map(|name| hospital_stem(name)) {
        text += &format!(
            "\n# 医院发送报文 | a hospital sends a message\n\
             curl --cacert {} --cert {} --key {} \\\n     -H 'Authorization: Bearer demo' -H 'Content-Type: application/json' \\\n     --data-binary @tests/samples/01-worked.json 'https://localhost:8080/v1/discharges?mode=quote'\n",
            shell("ca.pem"),
            shell(&format!("{stem}.pem")),
            shell(&format!("{stem}-key.pem")),
        );
    }
    for (name, stem) in args.payers.iter().take(1).map(|name| (name, payer_stem(name))) {
        text += &format!(
            "\n# adapters.d/{name}.toml\nname = \"{name}\"\nmode = \"shadow\"\notherwise = \"rules\"\nurl = \"https://localhost:9443\"\nca = {}\ncertificate = {}\nkey = {}\n",
            toml("ca.pem"),
            toml("gateway.pem"),
            toml("gateway-key.pem"),
        );
        text += &format!(
            "\n# 模拟的支付方 | a simulated payer\n\
             yizhan simulate payer --payer supplementary --listen 127.0.0.1:9443 --book {name}.book \\\n     --certificate {} --key {} --client-ca {}\n",
            shell(&format!("{stem}.pem")),
            shell(&format!("{stem}-key.pem")),
            shell("ca.pem"),
        );
    }
    Ok(text)
}

fn in_toml(path: &Path) -> String {
    toml::Value::from(path.display().to_string()).to_string()
}

/// In quotes where a shell would read more than a word.
fn in_shell(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+".contains(c);
    if path.chars().all(is_plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

//! The key file: made by `yizhan key`, read at start, held by nobody but the gateway and its safe copy.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use yizhan_contract::Text;
use zeroize::{Zeroize as _, Zeroizing};

use super::seal::{KEY_BYTES, Key, KeyId, random};
use crate::system;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("密钥文件 {path} {zh} | key file {path} {en}", path = .0.display(), zh = system::refused(.1).zh, en = system::refused(.1).en)]
    Unreadable(PathBuf, io::Error),
    /// Names the key that is wrong, never what stands there.
    #[error("密钥文件 {path}：{zh} | key file {path}: {en}", path = .0.display(), zh = .1.zh, en = .1.en)]
    Malformed(PathBuf, Text),
    #[error(
        "密钥文件 {path} 已存在，不会覆盖：数据库所用的密钥丢失后无法恢复；请换一个文件名 | key file {path} exists already and is kept: a key that a store was written under must not be lost; choose another name",
        path = .0.display()
    )]
    Exists(PathBuf),
    #[error(
        "操作系统未能提供随机数，请稍后重试 | the operating system gives no random numbers; try again later"
    )]
    NoRandomness,
}

/// ```toml
/// id = "3fa1c09be2d4"                 # 6 bytes, names the key
/// key = "…"                           # 32 bytes, hexadecimal
/// ```
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    id: String,
    key: String,
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl Key {
    /// Makes a key and writes its file, readable by the owner only; an existing file is never overwritten.
    pub fn create(path: &Path) -> Result<Self, KeyError> {
        let mut secret = Zeroizing::new([0_u8; KEY_BYTES]);
        let mut id = KeyId([0; 6]);
        random(secret.as_mut_slice()).and_then(|()| random(&mut id.0)).map_err(|_| KeyError::NoRandomness)?;
        let text = Zeroizing::new(format!(
            "# The key of a yizhan store. Whoever holds it can read the store; without it nobody can.\n\
             # Keep a copy, apart from the backups.\n\
             id = \"{id}\"\nkey = \"{}\"\n",
            Zeroizing::new(hex(secret.as_slice())).as_str()
        ));
        write_new(path, text.as_bytes()).map_err(|why| match why.kind() {
            io::ErrorKind::AlreadyExists => KeyError::Exists(path.to_owned()),
            _ => KeyError::Unreadable(path.to_owned(), why),
        })?;
        Ok(Self::derive(id, &secret))
    }

    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let malformed = |zh, en| KeyError::Malformed(path.to_owned(), Text::new(zh, en));
        let text = std::fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(|why| KeyError::Unreadable(path.to_owned(), why))?;
        // The parser's own message would quote the line, and with it the key.
        let file: KeyFile = toml::from_str(&text).map_err(|_| {
            malformed(
                "不是密钥文件（应有 id 与 key 两项），请使用 yizhan key new 生成的文件或其备份",
                "is no key file (it holds id and key); use one that `yizhan key new` made, or its copy",
            )
        })?;
        let mut id = KeyId([0; 6]);
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        unhex(&file.id, &mut id.0).ok_or_else(|| {
            malformed(
                "id 须为 12 位十六进制数字，请从备份恢复该文件",
                "id must be 12 hexadecimal digits; restore the file from its copy",
            )
        })?;
        unhex(&file.key, secret.as_mut_slice()).ok_or_else(|| {
            malformed(
                "key 须为 64 位十六进制数字，请从备份恢复该文件",
                "key must be 64 hexadecimal digits; restore the file from its copy",
            )
        })?;
        Ok(Self::derive(id, &secret))
    }
}

fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

fn unhex(text: &str, bytes: &mut [u8]) -> Option<()> {
    if text.len() != bytes.len() * 2 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..text.len()).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(())
}

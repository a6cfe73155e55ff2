//! What the operating system refuses, in the words of the desk: what is so, and what to do.

use std::io::{Error, ErrorKind};

use yizhan_contract::Text;

/// Said of a file, a folder or an address that its caller names: `文件 x {zh}`, `file x {en}`.
pub fn refused(why: &Error) -> Text {
    if let Some(why) = why.get_ref().and_then(|inner| inner.downcast_ref()) {
        return not_over_tls(why);
    }
    let (zh, en) = match why.kind() {
        ErrorKind::NotFound => ("不存在，请核对路径", "does not exist; check the path"),
        ErrorKind::PermissionDenied => {
            ("没有使用权限，请核对所有者与权限", "may not be used by this user; check owner and permissions")
        }
        ErrorKind::AlreadyExists => ("已经存在，请换一个名称", "exists already; choose another name"),
        ErrorKind::IsADirectory => ("是文件夹，请指定文件", "is a folder; name a file"),
        ErrorKind::NotADirectory => ("不是文件夹，请核对路径", "is no folder; check the path"),
        ErrorKind::InvalidData => {
            ("不是 UTF-8 文本，请另存为 UTF-8", "is not text in UTF-8; save it as UTF-8")
        }
        ErrorKind::StorageFull => ("磁盘已满，请先腾出空间", "the disk is full; make room first"),
        ErrorKind::AddrInUse => {
            ("已被其他程序占用，请换一个端口", "is taken by another program; choose another port")
        }
        ErrorKind::AddrNotAvailable => ("不是本机地址，请核对", "is no address of this machine; check it"),
        ErrorKind::ConnectionRefused => (
            "没有程序在接收连接，请确认对方已启动",
            "has nobody listening; see that the other side is started",
        ),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => {
            ("中断了连接，请查看对方的日志", "broke the connection off; look at the other side's log")
        }
        _ => {
            return Text::new(
                format!("无法使用，操作系统报告：{why}"),
                format!("cannot be used, says the operating system: {why}"),
            );
        }
    };
    Text::new(zh, en)
}

fn not_over_tls(why: &rustls::Error) -> Text {
    if let rustls::Error::InvalidMessage(_) = why {
        return Text::new(
            "没有以 TLS 应答，请核对地址，以及对方是否启用了 TLS",
            "does not answer in TLS; check the address, and whether the other side has TLS",
        );
    }
    Text::new(
        format!("的 TLS 连接未能建立（{why}），请核对双方的证书"),
        format!("could not be spoken to over TLS ({why}); check the certificates of both sides"),
    )
}

//! stub
pub fn mllp_acceptor(_: &crate::config::Tls) -> anyhow::Result<tokio_rustls::TlsAcceptor> {
    anyhow::bail!("stub")
}
pub fn http_config(_: &crate::config::Tls) -> anyhow::Result<rustls::ServerConfig> {
    anyhow::bail!("stub")
}

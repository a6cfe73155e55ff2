//! Certificates for tests: a CA, a service, a caller and what follows its certificate, a caller whose certificate
//! has expired, and a caller of nobody's.

use std::path::PathBuf;
use std::sync::OnceLock;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    date_time_ymd,
};
use tempfile::TempDir;
use yizhan_kit::certify::{ClientFiles, PairFiles};
use yizhan_kit::service::TlsFiles;

pub(crate) struct Certificates {
    folder: TempDir,
}

impl Certificates {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn of_service(&self) -> TlsFiles {
        TlsFiles {
            certificate: self.path("service.pem"),
            key: self.path("service.key"),
            client_ca: self.path("ca.pem"),
        }
    }

    pub(crate) fn of_caller(&self) -> ClientFiles {
        let expired = PairFiles { certificate: self.path("expired.pem"), key: self.path("expired.key") };
        let next = PairFiles { certificate: self.path("next.pem"), key: self.path("next.key") };
        ClientFiles {
            ca: self.path("ca.pem"),
            certificate: self.path("caller.pem"),
            key: self.path("caller.key"),
            expired: Some(expired),
            next: Some(next),
        }
    }
}

/// Who a certificate is of: no two have the same name.
fn named(names: Vec<String>, holder: &str) -> CertificateParams {
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, holder);
    params
}

/// Made once for all tests.
pub(crate) fn certificates() -> &'static Certificates {
    static MADE: OnceLock<Certificates> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        for (authority, holders) in
            [("ca", ["service", "caller", "expired", "next"].as_slice()), ("stranger_ca", &["stranger"])]
        {
            let mut params = named(Vec::new(), authority);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
            std::fs::write(folder.path().join(format!("{authority}.pem")), issuer.pem()).unwrap();
            for holder in holders {
                let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
                let key = KeyPair::generate().unwrap();
                let mut params = named(names, holder);
                if *holder == "expired" {
                    params.not_after = date_time_ymd(2020, 1, 1);
                }
                let certificate = params.signed_by(&key, &issuer).unwrap();
                std::fs::write(folder.path().join(format!("{holder}.pem")), certificate.pem()).unwrap();
                std::fs::write(folder.path().join(format!("{holder}.key")), key.serialize_pem()).unwrap();
            }
        }
        Certificates { folder }
    })
}

//! TLS: the public CAs from the binary, and one more from a file.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Reads a file of certificates in PEM.
///
/// # Errors
/// A file that cannot be read, or that holds no certificate.
pub fn read_ca_file(path: &Path) -> Result<Vec<u8>, String> {
    let pem = std::fs::read(path).map_err(|error| format!("the CA file {} cannot be read: {error}", path.display()))?;
    certificates(&pem).map_err(|error| format!("the CA file {}: {error}", path.display()))?;
    Ok(pem)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err("it holds no certificate in PEM".into()),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("it is no PEM: {error}")),
    }
}

pub(super) fn config(extra_ca: Option<&[u8]>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in extra_ca.map(certificates).transpose()?.unwrap_or_default() {
        roots.add(certificate).map_err(|error| format!("the CA file holds an unusable certificate: {error}"))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

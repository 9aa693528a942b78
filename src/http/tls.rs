//! TLS: the public CAs from the binary, and more from a file.

use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::connect::Sessions;

/// The certificates of a file in PEM.
///
/// # Errors
/// Bytes that are not PEM, or hold no certificate.
pub(super) fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let fail = |why: String| format!("the CA file {}: {why}", path.display());
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(fail("it holds no certificate in PEM".into())),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(fail(format!("it is not PEM: {error}"))),
    }
}

/// A client that trusts the public CAs and those given.
///
/// # Errors
/// A certificate that cannot be an anchor of trust.
pub(super) fn config(extra: Vec<CertificateDer<'static>>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in extra {
        roots.add(certificate).map_err(|error| format!("the CA file holds an unusable certificate: {error}"))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::store(Sessions::new());
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

//! Whom to check: the canary's address, given or found out, and proof that it is the revision that was deployed.

mod cloud_run;
mod deployment;
mod run_api;
mod token;

use std::net::IpAddr;

use url::{Host, Url};

pub use cloud_run::{CloudRun, Established};
pub use deployment::{Deployment, Given};
pub use run_api::{Revision, Service, Standing};
pub use token::{Auth, AuthMode, Tokens};

/// The canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Scheme, host, port, and the path that all paths of the plan stand behind.
    pub url: Url,
}

impl Target {
    /// Reads an address as a person writes it.
    ///
    /// # Errors
    /// What is wrong with it, and how it is written.
    pub fn parse(written: &str) -> Result<Self, String> {
        let how = "write it as https://host or http://host:port";
        let url = match Url::parse(written) {
            Ok(url) => url,
            Err(url::ParseError::RelativeUrlWithoutBase) => {
                return Err(format!("the URL {written:?} has no scheme; {how}"));
            }
            Err(error) => return Err(format!("the URL {written:?} cannot be read: {error}; {how}")),
        };
        if !matches!(url.scheme(), "http" | "https") {
            let host_and_port = !written.contains("://");
            let cause = if host_and_port { "no scheme".to_owned() } else { format!("the scheme {:?}", url.scheme()) };
            return Err(format!("the URL {written:?} has {cause}; {how}"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            // The URL is not shown: it holds a secret.
            let message = "the URL holds credentials, and it would be shown in logs and reports; leave them out and send a \
                           header from the checks file, such as Authorization: \"Bearer env:TOKEN\"";
            return Err(message.into());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!(
                "the URL {written:?} has a query or a fragment; give the address only, paths are in the checks file"
            ));
        }
        Ok(Self { url })
    }

    /// The address as it is shown: without the slash at its end.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// The URL of a path of the plan.
    #[must_use]
    pub fn at(&self, path: &str) -> Url {
        let base = self.url.path().trim_end_matches('/');
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let mut url = self.url.clone();
        url.set_path(&format!("{base}{path}"));
        url.set_query(query);
        url
    }

    /// Whether the address is this machine's own.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
            Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused_by_name() {
        for (written, piece) in [
            ("example.com", "no scheme"),
            ("localhost:8080", "no scheme"),
            ("ftp://example.com", "the scheme \"ftp\""),
            ("http://", "cannot be read"),
            ("https://exa mple.com", "cannot be read"),
            ("https://user:secret@example.com", "holds credentials"),
            ("https://example.com/?a=b", "query"),
            ("", "no scheme"),
        ] {
            let error = Target::parse(written).unwrap_err();
            assert!(error.contains(piece), "{written}: {error}");
            assert!(!error.contains("secret@"), "{error}");
        }
    }

    #[test]
    fn paths_stand_behind_the_address() {
        for (written, path, wanted) in [
            ("https://example.com", "/api/health", "https://example.com/api/health"),
            ("https://example.com/", "/", "https://example.com/"),
            ("http://127.0.0.1:8080/base/", "/a?b=c", "http://127.0.0.1:8080/base/a?b=c"),
        ] {
            assert_eq!(Target::parse(written).unwrap().at(path).as_str(), wanted);
        }
    }

    #[test]
    fn loopback_is_known() {
        for (written, wanted) in [
            ("http://127.0.0.9", true),
            ("http://[::1]:1", true),
            ("http://localhost", true),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(Target::parse(written).unwrap().is_loopback(), wanted, "{written}");
        }
    }
}

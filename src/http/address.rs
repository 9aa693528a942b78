//! An address as a person writes it: what requests are sent to.

use std::net::IpAddr;

use url::{Host, Url};

use crate::text;

/// Scheme, host, port, and the path that all paths stand behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    url: Url,
}

impl Address {
    /// Reads an address as a person writes it.
    ///
    /// # Errors
    /// What is wrong with it, and how it is written. Credentials that it may hold are not shown, nor its query.
    pub(crate) fn parse(written: &str) -> Result<Self, String> {
        let shown = text::shown_url(written);
        let how = "write it as https://host or http://host:port";
        let url = match Url::parse(written) {
            Ok(url) => url,
            Err(url::ParseError::RelativeUrlWithoutBase) => {
                return Err(format!("the URL {shown:?} has no scheme; {how}"));
            }
            Err(error) => return Err(format!("the URL {shown:?} cannot be read: {error}; {how}")),
        };
        if !matches!(url.scheme(), "http" | "https") {
            let host_and_port = !written.contains("://");
            let cause = if host_and_port { "no scheme".to_owned() } else { format!("the scheme {:?}", url.scheme()) };
            return Err(format!("the URL {shown:?} has {cause}; {how}"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let message = "the URL holds credentials, and it would be shown in logs and reports; leave them out and send a \
                           header from the checks file, such as Authorization: \"Bearer env:TOKEN\"";
            return Err(message.into());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!(
                "the URL {shown:?} has a query or a fragment; give the address only, paths are in the checks file"
            ));
        }
        Ok(Self { url })
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The host, without the port.
    pub(crate) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The host with the port, as a scrape configuration writes an instance.
    pub(crate) fn host_and_port(&self) -> String {
        match self.url.port_or_known_default() {
            Some(port) => format!("{}:{port}", self.host()),
            None => self.host().to_owned(),
        }
    }

    /// Whether both have the same scheme, host and port.
    pub(crate) fn same_origin(&self, other: &Self) -> bool {
        self.url.origin() == other.url.origin()
    }

    /// Whether both lead to the same server: of this machine, whatever it is called.
    pub(crate) fn is_same_place(&self, other: &Self) -> bool {
        let is_own = |address: &Self| address.is_loopback() || address.host() == "0.0.0.0" || address.host() == "[::]";
        let port = |address: &Self| address.url.port_or_known_default();
        self.same_origin(other) || (is_own(self) && is_own(other) && port(self) == port(other))
    }

    /// The same address at another host.
    pub(crate) fn at_host(&self, host: &str) -> Option<Self> {
        let mut url = self.url.clone();
        url.set_host(Some(host)).ok()?;
        Some(Self { url })
    }

    /// The address as it is shown: without the slash at its end.
    pub(crate) fn shown(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// The URL of a path, with its query, behind the address's own path.
    pub(crate) fn at(&self, path: &str) -> Url {
        let base = self.url.path().trim_end_matches('/');
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let mut url = self.url.clone();
        url.set_path(&format!("{base}{path}"));
        url.set_query(query);
        url
    }

    /// Whether nobody on the way reads what is sent: it is encrypted, or does not leave this machine.
    pub(crate) fn keeps_secrets(&self) -> bool {
        self.url.scheme() == "https" || self.is_loopback()
    }

    /// Whether the address is this machine's own.
    pub(crate) fn is_loopback(&self) -> bool {
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
            ("https://user@example.com", "holds credentials"),
            ("https://:secret@example.com", "holds credentials"),
            ("https://example.com/?a=b", "query"),
            ("", "no scheme"),
            ("https://user:secret@ho st/", "cannot be read"),
            ("user:secret@host", "no scheme"),
            ("ftp://user:secret@host", "the scheme \"ftp\""),
            ("https://user:secret@host:99999/", "cannot be read"),
            ("//user:secret@host", "no scheme"),
            ("https://host/?token=secret", "query"),
            ("https://host/#secret", "fragment"),
        ] {
            let error = Address::parse(written).unwrap_err();
            assert!(error.contains(piece), "{written}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn paths_stand_behind_the_address() {
        for (written, path, wanted) in [
            ("https://example.com", "/api/health", "https://example.com/api/health"),
            ("https://example.com/", "/", "https://example.com/"),
            ("http://127.0.0.1:8080/base/", "/a?b=c", "http://127.0.0.1:8080/base/a?b=c"),
        ] {
            assert_eq!(Address::parse(written).unwrap().at(path).as_str(), wanted);
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
            assert_eq!(Address::parse(written).unwrap().is_loopback(), wanted, "{written}");
        }
    }
}

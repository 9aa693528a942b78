//! The proxies that the environment names: found to be usable before a request is made, and told of where one fails.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::HeaderMap;
use url::Url;

/// Where proxies are named, in the order that counts.
const VARIABLES: [&str; 6] = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// Which requests go by way of a proxy, as the HTTP client decides it too.
pub(super) struct Proxies(Matcher);

impl Proxies {
    /// Reads the environment.
    ///
    /// # Errors
    /// A value that names no HTTP proxy: requests would go another way than was asked for.
    pub(super) fn new(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        for name in VARIABLES {
            if let Some(value) = variable(name).filter(|value| !value.trim().is_empty()) {
                parse(value.trim()).map_err(|cause| format!("{name} {cause}; write it as http://host:port"))?;
            }
        }
        Ok(Self(Matcher::from_env()))
    }

    /// The proxy on the way to a URL, without its credentials.
    pub(super) fn toward(&self, url: &Url) -> Option<String> {
        let proxy = self.0.intercept(&url.as_str().parse().ok()?)?;
        let proxy = proxy.uri();
        Some(format!("{}://{}", proxy.scheme_str()?, proxy.authority()?))
    }
}

/// Why an answer that came by way of a proxy in the clear is the proxy's own; nothing where it is that of the address.
pub(super) fn own_answer(status: u16, headers: &HeaderMap) -> Option<String> {
    if status == 407 {
        return Some("407: it wants credentials (write them as http://user:password@host:port)".into());
    }
    // Other proxies do not mark their own errors in a way of their own.
    let error = headers.get("x-squid-error").filter(|_| status >= 500)?;
    Some(format!("{status}: it could not reach the address ({})", String::from_utf8_lossy(error.as_bytes())))
}

/// The secrets in the addresses of proxies, as they are written and as they are sent: a proxy's answer may repeat them. A
/// user without a password is a token.
pub(crate) fn proxy_secrets(variable: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let values = VARIABLES.into_iter().filter_map(variable);
    let mut secrets = Vec::new();
    for url in values.filter_map(|value| parse(value.trim()).ok()) {
        let (user, password) = (url.username(), url.password());
        let written = password.unwrap_or(user);
        if written.is_empty() {
            continue;
        }
        let sent = [decoded(user), b":".to_vec(), decoded(password.unwrap_or_default())].concat();
        secrets.extend([written.to_owned(), String::from_utf8_lossy(&decoded(written)).into_owned()]);
        secrets.push(STANDARD.encode(sent));
    }
    secrets.sort();
    secrets.dedup();
    secrets
}

/// What a part of a URL stands for, as it is sent.
fn decoded(part: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, behind @ ..] = rest {
        let hex = behind.get(..2).filter(|_| *first == b'%').and_then(|hex| str::from_utf8(hex).ok());
        let escaped = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &behind[2..] } else { behind };
    }
    bytes
}

/// The value is not shown: it may hold a password.
fn parse(value: &str) -> Result<Url, String> {
    let written = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let url = Url::parse(&written).map_err(|error| format!("is not an address of a proxy ({error})"))?;
    match url.scheme() {
        "http" | "https" if url.host_str().is_some_and(|host| !host.is_empty()) => Ok(url),
        "http" | "https" => Err("names no host".into()),
        other => Err(format!("names a proxy of the scheme {other:?}, and only HTTP proxies are known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_names_no_http_proxy_is_refused_without_being_shown() {
        for (value, wanted) in [
            ("http://proxy:3128", Ok(())),
            ("proxy:3128", Ok(())),
            ("10.0.0.1:3128", Ok(())),
            ("https://user:pa55word@proxy", Ok(())),
            ("", Ok(())),
            ("::::", Err("is not an address")),
            ("http://user:pa55word@", Err("is not an address")),
            ("socks5://pa55word@proxy:1080", Err("the scheme \"socks5\"")),
        ] {
            let found = Proxies::new(&|name| (name == "HTTPS_PROXY").then(|| value.to_owned()));
            match (found, wanted) {
                (Ok(_), Ok(())) => {}
                (Err(error), Err(piece)) => {
                    assert!(error.starts_with("HTTPS_PROXY ") && error.contains(piece), "{error}");
                    assert!(!error.contains("pa55word"), "{error}");
                }
                (found, _) => panic!("{value:?}: {:?}", found.err()),
            }
        }
    }

    #[test]
    fn passwords_of_proxies_are_known_as_they_are_written_and_sent() {
        for (value, wanted) in [
            ("http://me:pa55word@proxy:3128", &["bWU6cGE1NXdvcmQ=", "pa55word"][..]),
            ("http://me:p%40ss%2@proxy:3128", &["bWU6cEBzcyUy", "p%40ss%2", "p@ss%2"]),
            ("http://t%6fken@proxy:3128", &["dG9rZW46", "t%6fken", "token"]),
            ("http://proxy:3128", &[]),
        ] {
            let variable = |name: &str| (name == "http_proxy").then(|| value.to_owned());
            assert_eq!(proxy_secrets(&variable), wanted, "{value}");
        }
    }
}

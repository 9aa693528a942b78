//! The proxies that the environment names: found to be usable before a request is made, and told of where one fails.

use hyper_util::client::proxy::matcher::Matcher;
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

/// The passwords in the addresses of proxies, which a proxy's answer may repeat.
pub(crate) fn proxy_passwords(variable: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let values = VARIABLES.into_iter().filter_map(variable);
    let urls = values.filter_map(|value| parse(value.trim()).ok());
    urls.filter_map(|url| url.password().map(str::to_owned)).collect()
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
    fn passwords_of_proxies_are_known() {
        let variable = |name: &str| (name == "http_proxy").then(|| "http://me:pa55word@proxy:3128".to_owned());
        assert_eq!(proxy_passwords(&variable), ["pa55word"]);
    }
}

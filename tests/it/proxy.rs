//! Proxies: what a proxy says of itself is not the canary's failure, and what opens it is not shown.

use std::sync::Arc;

use crate::canary::server::{Canary, Reply};
use crate::checks::Checks;
use crate::gate::{Gate, Ran};

/// A run whose every request meets a proxy.
fn behind(proxy: &Canary, credentials: &str, url: &str) -> Ran {
    let address = proxy.url().replace("http://", &format!("http://{credentials}"));
    Gate::verify(url, Checks::fast()).env("HTTP_PROXY", &address).env("HTTPS_PROXY", &address).run()
}

#[test]
fn a_proxys_own_answer_is_not_the_canarys() {
    for (url, status, header, code, piece) in [
        ("http://canary.example.com", 407, ("Via", "1.1 squid"), 3, "407: it wants credentials"),
        (
            "http://canary.example.com",
            502,
            ("X-Squid-Error", "ERR_DNS_FAIL 0"),
            3,
            "could not reach the address (ERR_DNS_FAIL 0)",
        ),
        ("http://canary.example.com", 503, ("X-Squid-Error", "ERR_CONNECT_FAIL 111"), 3, "could not reach the address"),
        ("http://canary.example.com", 503, ("Via", "1.1 squid"), 1, "503"),
        ("http://canary.example.com", 404, ("X-Squid-Error", "none"), 1, "404"),
        ("https://canary.example.com", 403, ("Via", "1.1 squid"), 3, "it refuses the tunnel to the address (CONNECT)"),
        ("https://canary.example.com", 407, ("Via", "1.1 squid"), 3, "it wants credentials"),
    ] {
        let proxy = Canary::start(Arc::new(move |_| Reply::new(status, "text/plain", "no").header(header.0, header.1)));
        let ran = behind(&proxy, "", url);
        assert_eq!(ran.code, code, "{url} {status}: {}", ran.stderr);
        assert!(ran.everything().contains(piece), "{url} {status}: {}", ran.stdout);
    }
}

#[test]
fn what_opens_a_proxy_is_not_shown_however_it_comes_back() {
    for (credentials, secrets) in [
        ("user:p%40ssw0rd1@", &["p@ssw0rd1", "p%40ssw0rd1", "dXNlcjpwQHNzdzByZDE="][..]),
        ("tok-abcdef123456@", &["tok-abcdef123456", "dG9rLWFiY2RlZjEyMzQ1Njo="]),
    ] {
        let said = secrets.join(" ");
        let proxy = Canary::start(Arc::new(move |request| {
            let sent = request.headers.get("proxy-authorization").cloned().unwrap_or_default();
            Reply::new(403, "text/plain", format!("no: {sent} {said}"))
        }));
        let ran = behind(&proxy, credentials, "http://canary.example.com");
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        let sent = proxy.seen()[0].headers["proxy-authorization"].replace("Basic ", "");
        assert!(secrets.contains(&&*sent), "{sent}");
        for secret in secrets {
            assert!(!ran.everything().contains(secret), "{secret}: {}", ran.stdout);
        }
    }
}

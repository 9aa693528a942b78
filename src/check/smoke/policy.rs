//! Content-Security-Policy: whether a page's own scripts and style sheets may load. <https://www.w3.org/TR/CSP3/>. Pure.

use url::Url;

use super::integrity::{Hash, Integrity};

/// Every policy of a page; all of them apply.
#[derive(Clone, Debug, Default)]
pub(super) struct Policies(Vec<Policy>);

/// The directives of one policy: names in lower case, with their sources.
#[derive(Clone, Debug)]
struct Policy(Vec<(String, Vec<String>)>);

/// What is to be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Script,
    StyleSheet,
}

/// An element of the page.
pub(super) struct Element<'e> {
    pub(super) used: Use,
    /// Where it loads from; nothing where its text stands in the page.
    pub(super) url: Option<&'e Url>,
    pub(super) text: &'e [u8],
    pub(super) nonce: &'e str,
    pub(super) integrity: &'e Integrity,
}

impl Policies {
    /// Adds the policies of a header's value, which a comma separates.
    pub(super) fn add(&mut self, value: &str) {
        self.0.extend(value.split(',').map(Policy::parse).filter(|policy| !policy.0.is_empty()));
    }

    /// Adds the policy of a `meta` element, which has fewer directives.
    pub(super) fn add_meta(&mut self, value: &str) {
        let mut policy = Policy::parse(value);
        policy.0.retain(|(name, _)| !matches!(&**name, "sandbox" | "report-uri" | "frame-ancestors"));
        self.0.push(policy);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `http:` addresses are asked for by `https:`.
    pub(super) fn upgrades(&self) -> bool {
        self.0.iter().any(|policy| policy.get("upgrade-insecure-requests").is_some())
    }

    /// The directive that refuses an element.
    pub(super) fn refusal(&self, element: &Element<'_>, page: &Url) -> Option<String> {
        self.0.iter().find_map(|policy| policy.refusal(element, page))
    }
}

impl Policy {
    fn parse(value: &str) -> Self {
        let mut directives: Vec<(String, Vec<String>)> = Vec::new();
        for directive in value.split(';') {
            let mut words = directive.split_ascii_whitespace();
            let Some(name) = words.next().map(str::to_ascii_lowercase) else { continue };
            if directives.iter().all(|(known, _)| *known != name) {
                directives.push((name, words.map(str::to_owned).collect()));
            }
        }
        Self(directives)
    }

    fn get(&self, name: &str) -> Option<&[String]> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, sources)| &**sources)
    }

    fn refusal(&self, element: &Element<'_>, page: &Url) -> Option<String> {
        let word = |sources: &[String], wanted: &str| sources.iter().any(|source| source.eq_ignore_ascii_case(wanted));
        if element.used == Use::Script
            && let Some(allowed) = self.get("sandbox")
            && !word(allowed, "allow-scripts")
        {
            return Some("sandbox without allow-scripts".into());
        }
        let names = match element.used {
            Use::Script => ["script-src-elem", "script-src", "default-src"],
            Use::StyleSheet => ["style-src-elem", "style-src", "default-src"],
        };
        let (name, sources) = names.into_iter().find_map(|name| Some((name, self.get(name)?)))?;
        (!allows(sources, element, page)).then(|| format!("{name} {}", sources.join(" ")).trim_end().to_owned())
    }
}

fn allows(sources: &[String], element: &Element<'_>, page: &Url) -> bool {
    let is = |source: &str, wanted: &str| source.eq_ignore_ascii_case(wanted);
    let nonces = || sources.iter().filter_map(|source| quoted(source, "nonce-"));
    let hashes = || sources.iter().filter_map(|source| Hash::parse(source.strip_prefix('\'')?.strip_suffix('\'')?));
    if !element.nonce.is_empty() && nonces().any(|nonce| nonce == element.nonce) {
        return true;
    }
    let strict = element.used == Use::Script && sources.iter().any(|source| is(source, "'strict-dynamic'"));
    let Some(url) = element.url else {
        let by_hash = nonces().next().is_some() || hashes().next().is_some() || strict;
        let unsafe_inline = sources.iter().any(|source| is(source, "'unsafe-inline'"));
        return (unsafe_inline && !by_hash) || hashes().any(|hash| hash.fits(element.text));
    };
    let known = &element.integrity.hashes;
    if !known.is_empty() && known.iter().all(|wanted| hashes().any(|hash| hash == *wanted)) {
        return true;
    }
    !strict && sources.iter().any(|source| source_matches(source, url, page))
}

fn quoted<'s>(source: &'s str, prefix: &str) -> Option<&'s str> {
    let inside = source.strip_prefix('\'')?.strip_suffix('\'')?;
    let (start, rest) = inside.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Whether a source that is neither a nonce nor a hash covers a URL.
fn source_matches(source: &str, url: &Url, page: &Url) -> bool {
    let scheme_covers = |wanted: &str, found: &str| wanted == found || (wanted == "http" && found == "https");
    let lower = source.to_ascii_lowercase();
    if lower == "*" {
        return matches!(url.scheme(), "http" | "https") || url.scheme() == page.scheme();
    }
    if lower == "'self'" {
        return url.origin() == page.origin()
            || (url.host() == page.host()
                && scheme_covers(page.scheme(), url.scheme())
                && page.port().is_none()
                && url.port().is_none());
    }
    if lower.starts_with('\'') {
        return false;
    }
    if let Some(scheme) = lower.strip_suffix(':') {
        return scheme_covers(scheme, url.scheme());
    }
    let (scheme, rest) = lower.split_once("://").map_or((page.scheme(), &*lower), |(scheme, rest)| (scheme, rest));
    let (authority, path_start) = match rest.find('/') {
        Some(at) => (&rest[..at], Some(source.len() - rest.len() + at)),
        None => (rest, None),
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port == "*" || port.bytes().all(|byte| byte.is_ascii_digit()) => (host, Some(port)),
        _ => (authority, None),
    };
    let found = url.host_str().unwrap_or_default();
    let host_covers = host == "*" || host == found || host.strip_prefix('*').is_some_and(|end| found.ends_with(end));
    let found_port = url.port_or_known_default().map(|port| port.to_string()).unwrap_or_default();
    let port_covers = match port {
        Some("*") => true,
        Some(port) => port == found_port || (port == "80" && found_port == "443" && url.scheme() == "https"),
        None => url.port().is_none(),
    };
    // The path keeps its case.
    let path = path_start.map_or("", |at| &source[at..]);
    let path_covers = match path {
        "" | "/" => true,
        folder if folder.ends_with('/') => url.path().starts_with(folder),
        file => url.path() == file,
    };
    scheme_covers(scheme, url.scheme()) && host_covers && port_covers && path_covers
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "https://app.example.com/start";

    fn refused(policies: &[&str], url: &str, nonce: &str, used: Use) -> Option<String> {
        let mut all = Policies::default();
        for policy in policies {
            all.add(policy);
        }
        let (page, url) = (Url::parse(PAGE).unwrap(), Url::parse(url).unwrap());
        let element = Element { used, url: Some(&url), text: b"", nonce, integrity: &Integrity::default() };
        all.refusal(&element, &page)
    }

    #[test]
    fn scripts_run_where_every_policy_lets_them() {
        let own = "https://app.example.com/assets/x.js";
        let cdn = "https://cdn.example.net/lib/x.js";
        for (policies, url, nonce, wanted) in [
            (&[][..], own, "", true),
            (&["script-src 'self'"], own, "", true),
            (&["script-src 'SELF'; object-src 'none'"], own, "", true),
            (&["default-src 'self'"], own, "", true),
            (&["default-src 'none'"], own, "", false),
            (&["default-src 'none'; script-src 'self'"], own, "", true),
            (&["script-src"], own, "", false),
            (&["script-src 'none'"], own, "", false),
            (&["script-src https://other.example.com"], own, "", false),
            (&["script-src app.example.com"], own, "", true),
            (&["script-src *.example.com"], own, "", true),
            (&["script-src *.app.example.com"], own, "", false),
            (&["script-src https:"], own, "", true),
            (&["script-src http:"], own, "", true),
            (&["script-src *"], own, "", true),
            (&["script-src https://app.example.com/assets/"], own, "", true),
            (&["script-src https://app.example.com/static/"], own, "", false),
            (&["script-src https://app.example.com/assets/x.js"], own, "", true),
            (&["script-src https://app.example.com:8443"], own, "", false),
            (&["script-src https://app.example.com:*"], own, "", true),
            (&["script-src 'self'"], cdn, "", false),
            (&["script-src 'self' cdn.example.net"], cdn, "", true),
            (&["script-src 'strict-dynamic' 'self' https:"], own, "", false),
            (&["script-src 'strict-dynamic' 'nonce-abc'"], own, "abc", true),
            (&["script-src 'strict-dynamic' 'nonce-abc'"], own, "ABC", false),
            (&["script-src 'nonce-abc'"], own, "", false),
            (&["script-src 'self'", "script-src 'none'"], own, "", false),
            (&["script-src 'self', default-src 'none'"], own, "", false),
            (&["script-src 'none'; script-src 'self'"], own, "", false),
            (&["script-src-elem 'self'; script-src 'none'"], own, "", true),
            (&["sandbox allow-forms"], own, "", false),
            (&["sandbox allow-scripts"], own, "", true),
            (&["style-src 'none'; img-src 'self'"], own, "", true),
        ] {
            let found = refused(policies, url, nonce, Use::Script);
            assert_eq!(found.is_none(), wanted, "{policies:?} {url}: {found:?}");
        }
        let found = refused(&["script-src  'none' ;default-src *"], own, "", Use::Script);
        assert_eq!(found.as_deref(), Some("script-src 'none'"));
        assert!(refused(&["style-src 'self'; default-src 'none'"], own, "", Use::StyleSheet).is_none());
        assert!(refused(&["style-src 'unsafe-inline'"], own, "", Use::StyleSheet).is_some());
    }

    #[test]
    fn inline_scripts_want_a_nonce_or_their_hash() {
        let page = Url::parse(PAGE).unwrap();
        let hash = "'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='";
        let runs = |policy: &str, text: &str, nonce: &str| {
            let mut all = Policies::default();
            all.add(policy);
            let integrity = Integrity::default();
            let element = Element { used: Use::Script, url: None, text: text.as_bytes(), nonce, integrity: &integrity };
            all.refusal(&element, &page).is_none()
        };
        let alert = "alert(1)";
        for (policy, wanted) in [
            ("script-src 'self'".to_owned(), false),
            ("script-src 'unsafe-inline'".to_owned(), true),
            ("script-src 'unsafe-inline' 'nonce-n'".to_owned(), false),
            ("script-src 'unsafe-inline' 'strict-dynamic'".to_owned(), false),
            (format!("script-src {hash}"), true),
            ("img-src 'self'".to_owned(), true),
        ] {
            assert_eq!(runs(&policy, alert, ""), wanted, "{policy}");
        }
        assert!(runs("script-src 'nonce-n'", alert, "n"));
    }
}

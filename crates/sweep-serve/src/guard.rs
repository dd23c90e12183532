//! Who may see the page. Pure.
//!
//! A page on 127.0.0.1 can be reached by every web site that its user visits, and by every user of the machine. Three
//! checks keep them out. The `Host` header must be a name of the page: a site that points its own name at 127.0.0.1 (DNS
//! rebinding) sends its own name. The `Origin` header, where there is one, must be the page itself: another site that
//! posts to the page sends its own. And a secret must be known: the token of the address that was printed, once, then a
//! cookie that is never sent along with a request from another site.

use hyper::header::{COOKIE, HOST, HeaderMap, ORIGIN};
use hyper::{Method, StatusCode, Uri};

/// The host names that a browser may use for the page.
#[derive(Debug, Clone)]
pub struct Hosts {
    /// Names other than those of the loopback interface.
    pub names: Vec<String>,
    /// The port, if the `Host` header must have the same port.
    pub port: Option<u16>,
    /// Whether every IP address is allowed instead of a name.
    pub any_address: bool,
}

impl Hosts {
    /// Returns whether this `Host` header is allowed.
    fn allow(&self, host: &str) -> bool {
        // An IPv6 address contains colons, and is in brackets.
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
            _ => (host, Some(80)),
        };
        let is_loopback = ["127.0.0.1", "localhost", "[::1]"].contains(&name);
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let is_address = self.any_address && bare.parse::<std::net::IpAddr>().is_ok();
        let named = self.names.iter().any(|own| own == name || own == host);
        // A proxy in front of the page has a port of its own.
        let is_port = port.is_some() && (self.port.is_none() || port == self.port);
        self.names.iter().any(|own| own == host) || ((is_loopback || is_address || named) && is_port)
    }
}

/// The secrets of one run of the page.
#[derive(Debug)]
pub struct Guard {
    /// What the printed address contains.
    pub token: String,
    /// The cookie's name. It differs from that of another page on the same machine, because cookies ignore ports.
    pub cookie: String,
    /// The cookie's value.
    pub session: String,
    /// The host names that a browser may use for the page.
    pub hosts: Hosts,
}

/// The decision about a request.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// It is answered.
    Pass,
    /// It has the token, and gets the cookie.
    Admit,
    /// It is refused, with the reason.
    Refuse(StatusCode, &'static str),
}

impl Guard {
    /// Judges a request.
    pub fn judge(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Verdict {
        let Some(host) = only(headers, HOST).filter(|host| self.hosts.allow(host)) else {
            return Verdict::Refuse(
                StatusCode::MISDIRECTED_REQUEST,
                "This name and port are not those of the page. Use the printed address, and the same port with ssh -L; \
                 `sweep serve --host NAME` allows another name.",
            );
        };
        if uri.authority().is_some_and(|authority| authority.as_str() != host) {
            return Verdict::Refuse(StatusCode::BAD_REQUEST, "The address and the Host header differ.");
        }
        let own = ["http://", "https://"].map(|scheme| format!("{scheme}{host}"));
        let origin = headers.contains_key(ORIGIN).then(|| only(headers, ORIGIN).unwrap_or("two of them"));
        let is_safe = [Method::GET, Method::HEAD].contains(method);
        match origin {
            Some(origin) if !own.iter().any(|own| own == origin) => {
                return Verdict::Refuse(StatusCode::FORBIDDEN, "Requests from other sites are refused.");
            }
            None if !is_safe => {
                return Verdict::Refuse(StatusCode::FORBIDDEN, "A request that changes something must have an Origin.");
            }
            _ => {}
        }
        if headers.get_all("sec-fetch-site").iter().any(|site| site != "same-origin") && !is_safe {
            return Verdict::Refuse(StatusCode::FORBIDDEN, "Requests from other sites are refused.");
        }
        let token = uri.query().and_then(|query| query.strip_prefix("token="));
        let admitted = token.is_some_and(|token| same(token, &self.token)) && uri.path() == "/" && is_safe;
        match admitted {
            true => Verdict::Admit,
            false if self.knows_cookie(headers) => Verdict::Pass,
            false => Verdict::Refuse(
                StatusCode::UNAUTHORIZED,
                "Open the address that `sweep serve` printed: it contains the token.",
            ),
        }
    }

    fn knows_cookie(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, value)| name == self.cookie && same(value, &self.session))
    }

    /// The header that gives the cookie to a browser.
    pub fn set_cookie(&self) -> String {
        format!("{}={}; Path=/; HttpOnly; SameSite=Strict", self.cookie, self.session)
    }
}

/// The value of a header that must not appear twice.
fn only(headers: &HeaderMap, name: hyper::header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

/// Compares secrets in a time that does not depend on where they differ.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// A secret of 256 bits, in hexadecimal digits.
///
/// # Errors
/// If the kernel gives no random numbers.
pub fn secret() -> std::io::Result<String> {
    use std::io::Read;
    let mut bytes = [0_u8; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn judge(hosts: &Hosts, method: Method, path: &str, headers: &[(&'static str, &str)]) -> Verdict {
        let (cookie, session) = ("sweep-1".to_owned(), "secret".to_owned());
        let guard = Guard { token: TOKEN.into(), cookie, session, hosts: hosts.clone() };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a header"));
        }
        guard.judge(&method, &path.parse().expect("a path"), &map)
    }

    fn refused(verdict: Verdict) -> u16 {
        match verdict {
            Verdict::Refuse(status, _) => status.as_u16(),
            other => panic!("not refused: {other:?}"),
        }
    }

    const LOCAL: Hosts = Hosts { names: Vec::new(), port: Some(4321), any_address: false };

    #[test]
    fn only_the_names_of_the_page_are_answered() {
        let cookie = ("cookie", "other=1; sweep-1=secret");
        for host in ["127.0.0.1:4321", "localhost:4321", "[::1]:4321"] {
            assert_eq!(judge(&LOCAL, Method::GET, "/", &[("host", host), cookie]), Verdict::Pass, "{host}");
        }
        for host in [
            "evil.example:4321",
            "127.0.0.1",
            "127.0.0.1:4322",
            "127.0.0.1:4321.evil.example",
            "10.0.0.1:4321",
            "",
            ":",
        ] {
            assert_eq!(refused(judge(&LOCAL, Method::GET, "/", &[("host", host), cookie])), 421, "{host}");
        }
        let twice = [("host", "127.0.0.1:4321"), ("host", "evil.example"), cookie];
        assert_eq!(refused(judge(&LOCAL, Method::GET, "/", &twice)), 421);
        assert_eq!(refused(judge(&LOCAL, Method::GET, "/", &[cookie])), 421);
        let other = [("host", "127.0.0.1:4321"), cookie];
        assert_eq!(refused(judge(&LOCAL, Method::GET, "http://evil.example/", &other)), 400);
    }

    #[test]
    fn beyond_loopback_addresses_and_given_names_are_allowed() {
        let cookie = ("cookie", "sweep-1=secret");
        let public = Hosts { names: vec!["gpu7".into(), "page.example:443".into()], port: Some(80), any_address: true };
        for host in ["10.0.0.1", "10.0.0.1:80", "gpu7", "[fe80::1]:80", "page.example:443"] {
            assert_eq!(judge(&public, Method::GET, "/", &[("host", host), cookie]), Verdict::Pass, "{host}");
        }
        for host in ["evil.example", "gpu7:81", "page.example"] {
            assert_eq!(refused(judge(&public, Method::GET, "/", &[("host", host), cookie])), 421, "{host}");
        }
        let socket = Hosts { names: Vec::new(), port: None, any_address: false };
        assert_eq!(judge(&socket, Method::GET, "/", &[("host", "localhost:8080"), cookie]), Verdict::Pass);
        assert_eq!(refused(judge(&socket, Method::GET, "/", &[("host", "evil.example:8080"), cookie])), 421);
    }

    #[test]
    fn a_request_needs_the_token_once_and_then_the_cookie() {
        let host = ("host", "127.0.0.1:4321");
        assert_eq!(judge(&LOCAL, Method::GET, &format!("/?token={TOKEN}"), &[host]), Verdict::Admit);
        for path in ["/", "/?token=", "/?token=0123456789abcdee", "/s/1/?token=0123456789abcdef"] {
            assert_eq!(refused(judge(&LOCAL, Method::GET, path, &[host])), 401, "{path}");
        }
        let wrong = ("cookie", "sweep-1=Secret; sweep-2=secret");
        assert_eq!(refused(judge(&LOCAL, Method::GET, "/", &[host, wrong])), 401);
    }

    #[test]
    fn other_sites_change_nothing() {
        let (host, cookie) = (("host", "127.0.0.1:4321"), ("cookie", "sweep-1=secret"));
        let own = ("origin", "http://127.0.0.1:4321");
        assert_eq!(judge(&LOCAL, Method::POST, "/", &[host, cookie, own]), Verdict::Pass);
        assert_eq!(refused(judge(&LOCAL, Method::POST, "/", &[host, cookie])), 403);
        for origin in ["http://evil.example", "null", "http://localhost:4321", "http://127.0.0.1:4321.evil.example"] {
            assert_eq!(refused(judge(&LOCAL, Method::POST, "/", &[host, cookie, ("origin", origin)])), 403, "{origin}");
            assert_eq!(refused(judge(&LOCAL, Method::GET, "/", &[host, cookie, ("origin", origin)])), 403, "{origin}");
        }
        let cross = ("sec-fetch-site", "cross-site");
        assert_eq!(refused(judge(&LOCAL, Method::POST, "/", &[host, cookie, own, cross])), 403);
    }
}

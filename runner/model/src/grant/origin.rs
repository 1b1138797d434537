//! Which URLs a grant covers: scheme, host, port, and the path by segments.
//!
//! The `url` crate is the judge of what a URL is, here and where the request is sent, so that both mean the same host:
//! it lowers case, maps IDNA, and reads `0x7f.1` and `2130706433` as 127.0.0.1. What it would silently mend (`http:/h`,
//! backslashes, tabs, user and password) is refused before it is asked.

use crate::{Failure, FailureKind};
use std::fmt;
use std::net::IpAddr;
use url::{Host, Url};

/// An origin and a path below which all is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UrlRule {
    scheme: String,
    host: Host<String>,
    port: u16,
    path: String,
    /// `None`: any query. Else the path and the query are exactly these.
    query: Option<String>,
}

impl UrlRule {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let url = read(text)?;
        if url.path() != "/" && has_two_readings(url.path()) {
            return Err(format!("the path of `{url}` could be read in two ways"));
        }
        let (Some(host), Some(port)) = (host_of(&url), url.port_or_known_default()) else {
            return Err(format!("`{}` names no host", text.escape_debug()));
        };
        Ok(Self {
            scheme: url.scheme().to_owned(),
            host,
            port,
            path: url.path().to_owned(),
            query: url.query().map(str::to_owned),
        })
    }

    /// Whether a URL is below this one.
    pub(super) fn covers(&self, url: &Url) -> bool {
        self.is_origin_of(url)
            && match &self.query {
                Some(query) => url.path() == self.path && url.query() == Some(query),
                None if self.path == "/" => true,
                None => !has_two_readings(url.path()) && is_above(&self.path, url.path()),
            }
    }

    /// Whether a policy's `deny` means this URL: one whose path has two readings may be meant.
    pub(super) fn bans(&self, url: &Url) -> bool {
        let plain =
            |path: &str| percent_decoded(path).map(|bytes| String::from_utf8_lossy(&bytes).to_lowercase());
        self.is_origin_of(url)
            && (has_two_readings(url.path())
                || match (plain(&self.path), plain(url.path())) {
                    (Some(banned), Some(path)) => is_above(&banned, &path),
                    _ => true,
                })
    }

    fn is_origin_of(&self, url: &Url) -> bool {
        url.scheme() == self.scheme
            && url.port_or_known_default() == Some(self.port)
            && host_of(url).as_ref() == Some(&self.host)
    }

    /// The address that the host is, when it is one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        address(&self.host)
    }
}

impl fmt::Display for UrlRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        let usual = if self.scheme == "https" { 443 } else { 80 };
        if self.port != usual {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.path)?;
        self.query.iter().try_for_each(|query| write!(f, "?{query}"))
    }
}

/// By segments: `/a` is above `/a` and `/a/b`, not above `/ab`; `/a/` is above `/a/b` alone.
fn is_above(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/'))
}

/// Reads the URL of a request as the contract wants it: absolute, http or https, without user, password and fragment.
///
/// # Errors
/// `invalid`, with what is wrong.
pub fn parse_url(text: &str) -> Result<Url, Failure> {
    read(text).map_err(|why| Failure::new(FailureKind::Invalid, why))
}

fn read(text: &str) -> Result<Url, String> {
    let shown = || text.chars().take(200).collect::<String>().escape_debug().to_string();
    let refuse = |why: &str| Err(format!("`{}` is not a URL for a request: {why}", shown()));
    if text.len() > 8192 {
        return refuse("it is too long");
    }
    if text.contains('\\') || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return refuse("spaces, control characters and backslashes are not allowed");
    }
    let rest = match text.split_once("://") {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") =>
        {
            rest
        }
        _ => return refuse("it must begin with `http://` or `https://`"),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() {
        return refuse("it names no host");
    }
    if authority.contains('@') {
        return refuse("user and password are not allowed; send a header");
    }
    if authority.contains(['*', '%']) {
        return refuse("the host is spelled out, without `*` and `%`");
    }
    if text.contains('#') {
        return refuse("a fragment is never sent");
    }
    let url =
        Url::parse(text).map_err(|error| format!("`{}` is not a URL for a request: {error}", shown()))?;
    if url.port() == Some(0) || host_of(&url).is_none() {
        return refuse("it names no host and port");
    }
    Ok(url)
}

/// The host, without the dot that may end a full name.
fn host_of(url: &Url) -> Option<Host<String>> {
    normal(url.host()?.to_owned())
}

fn normal(host: Host<String>) -> Option<Host<String>> {
    match host {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(&name);
            (!name.is_empty() && !name.ends_with('.')).then(|| Host::Domain(name.to_owned()))
        }
        address => Some(address),
    }
}

fn address(host: &Host<String>) -> Option<IpAddr> {
    match host {
        Host::Domain(_) => None,
        Host::Ipv4(v4) => Some((*v4).into()),
        Host::Ipv6(v6) => Some((*v6).into()),
    }
}

/// Whether servers differ on what a path means: an encoded slash, dots behind an encoding or a parameter (`..;`), an
/// encoding inside an encoding, an empty segment. `url` has already resolved plain dots.
pub(super) fn has_two_readings(path: &str) -> bool {
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() {
            return true;
        }
        let Some(plain) = percent_decoded(segment) else { return true };
        let name = plain.split(|byte| *byte == b';').next().unwrap_or_default();
        if matches!(name, b"." | b"..")
            || (name.is_empty() && !plain.is_empty())
            || plain.iter().any(|byte| byte.is_ascii_control() || b"/\\%".contains(byte))
        {
            return true;
        }
    }
    false
}

/// The bytes of a segment; `None` for a `%` that encodes nothing.
fn percent_decoded(segment: &str) -> Option<Vec<u8>> {
    let mut bytes = segment.bytes();
    let mut plain = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    Some(plain)
}

/// An address that a request connects to in place of its URL's: a host, and a port if it is not the URL's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authority {
    host: Host<String>,
    port: Option<u16>,
}

impl Authority {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{}` is not an address: a host, and a port if need be", text.escape_debug());
        if text.len() > 255 || text.contains(['/', '\\', '@', '?', '#', '%', '*']) {
            return Err(refuse());
        }
        // An IPv6 address is written without brackets where no port follows.
        if let Ok(v6) = text.parse::<std::net::Ipv6Addr>() {
            return Ok(Self { host: Host::Ipv6(v6), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        let port = match port {
            Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => {
                Some(port.parse().ok().filter(|port| *port > 0).ok_or_else(refuse)?)
            }
            Some(_) => return Err(refuse()),
            None => None,
        };
        let host = Host::parse(host).ok().and_then(normal).ok_or_else(refuse)?;
        Ok(Self { host, port })
    }

    /// Whether it is the same place for a request to this URL.
    pub(super) fn is(&self, other: &Self, url: &Url) -> bool {
        let port = |authority: &Self| authority.port.or(url.port_or_known_default());
        self.host == other.host && port(self) == port(other)
    }

    /// The address that it is, when it is one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        address(&self.host)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host)?;
        self.port.iter().try_for_each(|port| write!(f, ":{port}"))
    }
}

//! Requests of steps: from this machine, or through the connection of a target.
//!
//! The grant was checked against the URL. Where the connection goes is decided here: names are looked up once, every
//! address is checked, and the connection is pinned to those, so that a second lookup cannot lead elsewhere. Nothing
//! of the environment takes part: no proxy, no redirect, no cookie.

use crate::sandbox::context::{Context, Download, Http, HttpAnswer, Machines, Sending};
use async_trait::async_trait;
use reqwest::header::HeaderValue;
use reqwest::{Client, Response, redirect};
use runner_artifact::Store;
use runner_model::grant::address_allowed;
use runner_model::{Acting, Content, Digest, Failure, FailureKind};
use runner_secret::Vault;
use runner_transport::Forward;
use std::collections::BTreeMap;
use std::io::{Seek as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;
use url::{Host, Url};

/// What mends a host that nobody knows: in inventories it is often one that is known to ssh.
const UNKNOWN_HOST: &str = "a name that only ssh knows, from `~/.ssh/config`, has no address for HTTP: ask through its \
     connection (`from = \"target\"`), or name the address";

/// How much of a body a guest is given.
const BODY: usize = 1024 * 1024;
/// The largest body that is stored.
const DOWNLOAD: u64 = 4 * 1024 * 1024 * 1024;
/// How many clients are kept: one for each place that is connected to.
const CLIENTS: usize = 64;

/// Where a connection goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// To these addresses, for this host.
    Addresses(String, Vec<SocketAddr>),
    /// Into a socket of this machine, whose other end is near a target.
    Socket(PathBuf),
}

/// Sends the requests of a run.
pub struct Requests {
    machines: Arc<dyn Machines>,
    store: Arc<Store>,
    /// By the way that they go, and whether they speak TLS.
    clients: Mutex<BTreeMap<(Way, bool), Client>>,
}

fn other(sending: &Sending, why: impl std::fmt::Display) -> Failure {
    failure(sending, FailureKind::Other, why)
}

fn failure(sending: &Sending, kind: FailureKind, why: impl std::fmt::Display) -> Failure {
    let why = crate::sandbox::text::line(&why.to_string(), 500);
    Failure::new(kind, format_args!("{} {}: {why}", sending.request.method, sending.url))
}

/// What a failed exchange means.
fn failed(sending: &Sending, error: &reqwest::Error) -> Failure {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    // TLS tells it so, and through how many layers it comes is nobody's promise: the text is.
    if let Some(why) = cause.to_string().strip_prefix("invalid peer certificate: ") {
        let why = format!("the server's certificate is not trusted: {why}");
        return failure(sending, FailureKind::Unreachable, why).with_detail(
            "the server must be the one that its certificate names, and the certificate valid and signed by an \
             authority that this machine trusts (its `ca-certificates`, or the file in `SSL_CERT_FILE`)",
        );
    }
    let kind = if error.is_timeout() {
        FailureKind::Timeout
    } else if error.is_connect() || error.is_request() || error.is_body() {
        FailureKind::Unreachable
    } else {
        FailureKind::Other
    };
    failure(sending, kind, cause)
}

impl Requests {
    /// Requests that go out here, or over the connections to these machines.
    pub fn new(machines: Arc<dyn Machines>, store: Arc<Store>) -> Self {
        // Whoever came first has installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { machines, store, clients: Mutex::default() }
    }

    /// Where to connect: what `connect-to` says, else the URL's authority.
    fn place(sending: &Sending) -> Result<(String, u16), Failure> {
        let url = &sending.url;
        let host = |host: Option<Host<&str>>| match host {
            Some(Host::Ipv6(address)) => Ok(address.to_string()),
            Some(host) => Ok(host.to_string()),
            None => Err(failure(sending, FailureKind::Invalid, "the URL has no host")),
        };
        let port = url.port_or_known_default().unwrap_or(80);
        let Some(address) = &sending.request.connect_to else { return Ok((host(url.host())?, port)) };
        // The same reading as the grant's: an authority.
        let with_port = Url::parse(&format!("http://{address}/"))
            .or_else(|_| Url::parse(&format!("http://[{address}]/")))
            .map_err(|error| failure(sending, FailureKind::Invalid, format_args!("connect-to: {error}")))?;
        let says_port = address.rsplit_once(':').is_some_and(|(_, end)| end.parse::<u16>().is_ok())
            && address.parse::<IpAddr>().is_err();
        Ok((host(with_port.host())?, if says_port { with_port.port().unwrap_or(80) } else { port }))
    }

    /// Looks up where a request goes, and refuses addresses that no name may lead to.
    async fn way(&self, sending: &Sending) -> Result<Way, Failure> {
        let (host, port) = Self::place(sending)?;
        if let Some(via) = &sending.request.via {
            match self.machines.acting(via, &Acting::Login).await?.forward(&host, port).await? {
                Forward::Socket(socket) => return Ok(Way::Socket(socket)),
                // The target is this machine.
                Forward::Direct => {}
            }
        }
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), port))
            .await
            .map_err(|error| {
                failure(sending, FailureKind::Unreachable, format_args!("look up `{host}`: {error}"))
                    .with_detail(UNKNOWN_HOST)
            })?
            .collect();
        if let Some(refused) = found.iter().find(|a| !address_allowed(a.ip(), sending.named_literally)) {
            let why = format!("`{host}` leads to {}, which a grant must name by that address", refused.ip());
            return Err(failure(sending, FailureKind::Denied, why));
        }
        if found.is_empty() {
            return Err(failure(sending, FailureKind::Unreachable, format_args!("`{host}` has no address")));
        }
        let url_host = sending.url.host_str().unwrap_or_default();
        if url_host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip != found[0].ip()) {
            // The client connects to a literal address without asking anybody.
            let why = "connect-to needs a URL with a name, not with an address";
            return Err(failure(sending, FailureKind::Invalid, why));
        }
        Ok(Way::Addresses(url_host.to_owned(), found))
    }

    /// The client for a way, kept for a retry. Making one for TLS reads the machine's certificates.
    fn client(&self, sending: &Sending, way: Way) -> Result<Client, Failure> {
        let secure = sending.url.scheme() != "http";
        let key = (way, secure);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let builder = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            // A deploy restarts servers: a connection that is kept may be dead, and a request on it fails for nothing.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("runner/", env!("CARGO_PKG_VERSION")));
        // No redirect is followed, so a client for plain HTTP never meets a certificate.
        let builder = if secure { builder } else { builder.tls_certs_only([]) };
        let builder = match &key.0 {
            Way::Addresses(host, addresses) => builder.resolve_to_addrs(host, addresses),
            Way::Socket(socket) => builder.unix_socket(socket.clone()),
        };
        let client =
            builder.build().map_err(|error| other(sending, format_args!("make a client: {error}")))?;
        if clients.len() >= CLIENTS {
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }

    /// Sends, and returns with the head of the answer.
    async fn exchange(&self, vault: &Vault, sending: &Sending) -> Result<Response, Failure> {
        let way = self.way(sending).await?;
        let mut url = sending.url.clone();
        if let Way::Addresses(_, addresses) = &way
            && let Some(address) = addresses.first()
            && sending.request.connect_to.is_some()
            && url.port_or_known_default() != Some(address.port())
        {
            // The client takes the port from the URL; the host header keeps the authority that was granted.
            let _ = url.set_port(Some(address.port()));
        }
        let client = self.client(sending, way)?;
        let request = &sending.request;
        let method = request.method.parse().map_err(|error| failure(sending, FailureKind::Invalid, error))?;
        let mut building = client.request(method, url.clone());
        if url != sending.url {
            let authority = &sending.url[url::Position::BeforeHost..url::Position::AfterPort];
            building = building.header("host", authority);
        }
        for (name, value) in &request.headers {
            building = building.header(name, value);
        }
        for (name, secret) in &request.secret_headers {
            let value = HeaderValue::from_str(&vault.reveal(secret)?).map_err(|_| {
                let why = format!(
                    "the secret {secret} holds a control character and cannot be in the header `{name}`"
                );
                failure(sending, FailureKind::Invalid, why)
            });
            let mut value = value?;
            value.set_sensitive(true);
            building = building.header(name, value);
        }
        match &request.body {
            Some(Content::Text(text)) => building = building.body(text.clone()),
            Some(Content::Secret(secret)) => {
                building = building.body(vault.reveal(secret)?.as_bytes().to_vec())
            }
            Some(Content::Artifact(digest)) => {
                let (file, size) = self.store.open_file(digest)?;
                building = building.header("content-length", size).body(tokio::fs::File::from_std(file));
            }
            None => {}
        }
        building.send().await.map_err(|error| failed(sending, &error))
    }

    /// Runs the exchange in the time that the step gives it.
    async fn in_time<T>(
        sending: &Sending,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let time = Duration::from_millis(sending.request.timeout.into());
        timeout(time, work).await.unwrap_or_else(|_| {
            Err(failure(sending, FailureKind::Timeout, format_args!("no whole answer within {time:?}")))
        })
    }

    /// Streams a body into the store.
    async fn store_body(&self, sending: &Sending, mut response: Response) -> Result<Digest, Failure> {
        let mut file = tempfile::tempfile().map_err(|error| other(sending, error))?;
        let mut size = 0_u64;
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(sending, &error))? {
            size += chunk.len() as u64;
            if size > DOWNLOAD {
                return Err(other(sending, "the body has more than 4 GiB"));
            }
            file.write_all(&chunk).map_err(|error| other(sending, error))?;
        }
        let store = Arc::clone(&self.store);
        let stored = tokio::task::spawn_blocking(move || {
            file.rewind().map(|()| store.put_reader(file).map(|(digest, _)| digest))
        });
        Ok(stored.await.map_err(|error| other(sending, error))?.map_err(|error| other(sending, error))??)
    }
}

impl Requests {
    /// Sends a request that was granted, with these values of secrets.
    pub(super) async fn send_with(&self, vault: &Vault, sending: &Sending) -> Result<HttpAnswer, Failure> {
        Self::in_time(sending, async {
            let mut response = self.exchange(vault, sending).await?;
            let status = response.status().as_u16();
            let headers = response.headers().iter().map(|(name, value)| {
                (vault.hide(name.as_str()), vault.hide(String::from_utf8_lossy(value.as_bytes())))
            });
            let headers = headers.collect();
            let mut body = Vec::new();
            // Secrets are hidden before the body is cut: half of one would not be known for what it is.
            let mut hide = vault.stream();
            loop {
                match response.chunk().await.map_err(|error| failed(sending, &error))? {
                    Some(chunk) => body.extend(hide.feed(&chunk).into_bytes()),
                    None => {
                        body.extend(hide.finish().into_bytes());
                        break;
                    }
                }
                if body.len() > BODY {
                    break;
                }
            }
            let truncated = body.len() > BODY;
            body.truncate(BODY);
            Ok(HttpAnswer { status, headers, body: String::from_utf8_lossy(&body).into_owned(), truncated })
        })
        .await
    }
}

#[async_trait]
impl Http for Requests {
    async fn send(&self, context: &Context, sending: &Sending) -> Result<HttpAnswer, Failure> {
        self.send_with(&context.vault, sending).await
    }

    async fn download(&self, context: &Context, sending: &Sending) -> Result<Download, Failure> {
        Self::in_time(sending, async {
            let response = self.exchange(&context.vault, sending).await?;
            if !response.status().is_success() {
                return Ok(Download::Status(response.status().as_u16()));
            }
            Ok(Download::Stored(self.store_body(sending, response).await?))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_model::{EffectClass, Request, TargetName};

    struct Nobody;

    #[async_trait]
    impl Machines for Nobody {
        fn has(&self, _: &TargetName) -> bool {
            false
        }

        async fn acting(
            &self,
            _: &TargetName,
            _: &Acting,
        ) -> Result<Arc<dyn runner_transport::Target>, Failure> {
            Err(Failure::new(FailureKind::NotFound, "nobody"))
        }
    }

    fn sending(url: &str, connect_to: Option<&str>, named_literally: bool) -> Sending {
        Sending {
            request: Request {
                method: "GET".to_owned(),
                url: url.to_owned(),
                effect: EffectClass::Read,
                headers: Vec::new(),
                secret_headers: Vec::new(),
                body: None,
                via: None,
                connect_to: connect_to.map(str::to_owned),
                timeout: 1000,
                undo: None,
                repeatable: false,
            },
            url: url.parse().expect("a URL"),
            named_literally,
        }
    }

    async fn way(sending: Sending) -> Result<Way, Failure> {
        let place = tempfile::tempdir().expect("a folder");
        let store = Arc::new(Store::open(place.path().join("store")).expect("a store"));
        Requests::new(Arc::new(Nobody), store).way(&sending).await
    }

    #[tokio::test]
    async fn metadata_and_link_local_addresses_are_refused_unless_the_grant_spells_them_out() {
        for (url, at) in [
            ("http://169.254.169.254/latest/meta-data", None),
            ("http://[fd00:ec2::254]/", None),
            ("http://[::ffff:169.254.169.254]/", None),
            ("http://[fe80::1]/", None),
            ("http://0.0.0.0/", None),
            ("http://2852039166/", None),
            ("http://shop.example.org/", Some("169.254.169.254")),
            ("http://shop.example.org/", Some("[fe80::1]:80")),
        ] {
            let refused = way(sending(url, at, false)).await.expect_err(url);
            assert_eq!(refused.kind, FailureKind::Denied, "{url}: {refused}");
            way(sending(url, at, true)).await.expect(url);
        }
    }

    #[tokio::test]
    async fn the_connection_is_pinned_to_what_was_checked() {
        let expected = |host: &str, address: &str| {
            Way::Addresses(host.to_owned(), vec![address.parse().expect("an address")])
        };
        for (url, at, wanted) in [
            ("http://shop.example.org/", Some("127.0.0.1"), expected("shop.example.org", "127.0.0.1:80")),
            ("https://shop.example.org/", Some("127.0.0.1"), expected("shop.example.org", "127.0.0.1:443")),
            (
                "http://shop.example.org:81/",
                Some("127.0.0.1:8080"),
                expected("shop.example.org", "127.0.0.1:8080"),
            ),
            ("http://shop.example.org/", Some("127.0.0.1:80"), expected("shop.example.org", "127.0.0.1:80")),
            ("http://shop.example.org/", Some("::1"), expected("shop.example.org", "[::1]:80")),
            ("http://shop.example.org/", Some("[::1]:8080"), expected("shop.example.org", "[::1]:8080")),
            ("http://127.0.0.1:8080/", None, expected("127.0.0.1", "127.0.0.1:8080")),
        ] {
            assert_eq!(way(sending(url, at, false)).await.expect(url), wanted, "{url} {at:?}");
        }
        let refused =
            way(sending("http://127.0.0.1/", Some("127.0.0.2"), false)).await.expect_err("a literal");
        assert_eq!(refused.kind, FailureKind::Invalid);
    }
}

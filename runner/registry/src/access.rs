//! How a registry asks who we are, and what is answered: the `WWW-Authenticate` header, and the token service that it may
//! name.

use crate::credentials::Secret;
use crate::error::Error;
use base64::Engine as _;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use runner_model::oci::Repository;
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

/// The largest answer of a token service.
pub(crate) const TOKEN_MAX: u64 = 256 * 1024;
/// What we are to a token service.
const CLIENT: &str = "runner";

/// What is done with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Pull,
    Push,
}

impl Action {
    /// For messages, before a repository.
    pub(crate) fn phrase(self) -> &'static str {
        match self {
            Self::Pull => "pull from",
            Self::Push => "push to",
        }
    }

    /// What a token is asked for: this, whatever the registry would have us ask for.
    fn scope(self, repository: &Repository) -> String {
        let actions = match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
        };
        format!("repository:{}:{actions}", repository.path())
    }
}

/// How a registry wants to be told who we are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    /// With a token from there.
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

impl Challenge {
    /// What the headers of an answer ask for; `None` when it is nothing that is known here.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let values: Vec<&str> =
            headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|v| v.to_str().ok()).collect();
        let challenges: Vec<_> =
            values.iter().filter_map(|value| http_auth::parse_challenges(value).ok()).flatten().collect();
        let bearer = challenges.iter().filter(|challenge| challenge.scheme.eq_ignore_ascii_case("bearer"));
        let bearer = bearer.filter_map(|challenge| {
            let value = |name: &str| {
                let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_unescaped())
            };
            Some(Self::Bearer { realm: value("realm")?, service: value("service") })
        });
        let basic = || challenges.iter().any(|challenge| challenge.scheme.eq_ignore_ascii_case("basic"));
        bearer.into_iter().next().or_else(|| basic().then_some(Self::Basic))
    }
}

/// The header of a name and a password.
pub(crate) fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    let pair = Zeroizing::new(format!("{user}:{password}"));
    let text = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(pair.as_bytes()));
    secret_header("Basic", &text)
}

/// The header of a token.
pub(crate) fn bearer(token: &str) -> Option<HeaderValue> {
    secret_header("Bearer", token)
}

/// `None`: it cannot be in a header, for it has control characters.
fn secret_header(scheme: &str, text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&Zeroizing::new(format!("{scheme} {text}"))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What is sent to a token service.
pub(crate) struct TokenRequest {
    pub(crate) url: Url,
    pub(crate) authorization: Option<HeaderValue>,
    /// A form, when an identity token is exchanged.
    pub(crate) form: Option<Zeroizing<String>>,
}

impl TokenRequest {
    pub(crate) fn new(
        realm: Url,
        service: Option<&str>,
        action: Action,
        repository: &Repository,
        secret: &Secret,
    ) -> Self {
        let mut pairs = vec![("scope", action.scope(repository))];
        pairs.extend(service.map(|service| ("service", service.to_owned())));
        match secret {
            Secret::Identity(token) => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                form.extend_pairs([
                    ("grant_type", "refresh_token"),
                    ("client_id", CLIENT),
                    ("refresh_token", token.as_str()),
                ]);
                form.extend_pairs(&pairs);
                Self { url: realm, authorization: None, form: Some(Zeroizing::new(form.finish())) }
            }
            _ => {
                let mut url = realm;
                url.query_pairs_mut().extend_pairs(&pairs);
                let authorization = match secret {
                    Secret::Password(user, password) => basic(user, password),
                    _ => None,
                };
                Self { url, authorization, form: None }
            }
        }
    }
}

#[derive(Deserialize)]
struct Token {
    token: Option<Zeroizing<String>>,
    access_token: Option<Zeroizing<String>>,
}

/// The header with the token of a token service's answer.
pub(crate) fn token(host: &str, body: &[u8]) -> Result<HeaderValue, Error> {
    const WHAT: &str = "a token";
    // Not why: that may show a part of it.
    let answer: Token = serde_json::from_slice(body)
        .map_err(|_| Error::bad_answer(host, WHAT, "it is not the JSON of one"))?;
    let token = answer.token.or(answer.access_token).filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| Error::bad_answer(host, WHAT, "there is none in it"))?;
    bearer(&token).ok_or_else(|| Error::bad_answer(host, WHAT, "it has control characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().expect("a header"));
        }
        Challenge::of(&headers)
    }

    #[test]
    fn challenges_are_read() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
        };
        assert_eq!(challenge(&["Basic realm=\"x\""]), Some(Challenge::Basic));
        assert_eq!(
            challenge(&[
                "Bearer realm=\"https://a.example.org/t\",service=\"s\\\"x\",scope=\"repository:a:push\""
            ]),
            bearer("https://a.example.org/t", Some("s\"x"))
        );
        assert_eq!(challenge(&["Negotiate", "Basic realm=\"x\", bearer Realm=\"y\""]), bearer("y", None));
        for nothing in [&["Bearer service=\"x\""][..], &["Digest realm=\"x\""], &["\"\"\"="], &[]] {
            assert_eq!(challenge(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn a_token_is_taken_and_never_shown() {
        assert_eq!(token("r", br#"{"token":"abc","expires_in":3}"#).expect("a token"), "Bearer abc");
        assert_eq!(token("r", br#"{"access_token":"abc"}"#).expect("a token"), "Bearer abc");
        for bad in [
            &br#"{"token":"hunter2\r\nx: y"}"#[..],
            br#"{"token":""}"#,
            br#""hunter2""#,
            br#"{"token":["hunter2"]}"#,
        ] {
            let error = token("r", bad).expect_err("no token").to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(format!("{:?}", token("r", br#"{"token":"abc"}"#)).contains("Sensitive"));
    }

    #[test]
    fn a_token_is_asked_for_the_repository_alone() {
        let repository: Repository = "r.example.org/ops/x".parse().expect("a repository");
        let realm = Url::parse("https://a.example.org/t?a=b").expect("a URL");
        let password = Secret::Password("alice".to_owned(), Zeroizing::new("secret".to_owned()));
        let request = TokenRequest::new(realm.clone(), Some("s&x"), Action::Push, &repository, &password);
        let query = "a=b&scope=repository%3Aops%2Fx%3Apull%2Cpush&service=s%26x";
        assert_eq!(request.url.query(), Some(query));
        assert_eq!(request.authorization.expect("a password"), "Basic YWxpY2U6c2VjcmV0");
        let identity = Secret::Identity(Zeroizing::new("abc".to_owned()));
        let request = TokenRequest::new(realm, None, Action::Pull, &repository, &identity);
        assert_eq!(request.url.query(), Some("a=b"));
        let form =
            "grant_type=refresh_token&client_id=runner&refresh_token=abc&scope=repository%3Aops%2Fx%3Apull";
        assert_eq!(request.form.expect("a form").as_str(), form);
    }
}

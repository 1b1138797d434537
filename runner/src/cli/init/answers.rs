//! What a person says about the application, checked word by word: whatever passes here makes a plan that `check`
//! accepts.

use super::super::args::Init;
use super::super::fail::Fail;
use super::ask::{Ask, Question};
use crate::written::shown;
use runner_model::grant::{SshGrant, WorkspacePath};
use runner_model::inventory::Host;
use runner_model::{EnvironmentName, PlanName, RemotePath, TargetName, UserName};
use std::path::Path;
use url::Url;

/// What both files are made of.
pub(super) struct Answers {
    /// The plan's name.
    pub(super) name: PlanName,
    /// The environment.
    pub(super) environment: EnvironmentName,
    /// The folder that is released, relative to the plan.
    pub(super) app: String,
    /// The machines.
    pub(super) hosts: Vec<Machine>,
    /// Who logs in; `None`: up to ssh.
    pub(super) user: Option<UserName>,
    /// The release root.
    pub(super) root: RemotePath,
    /// What is restarted; `None`: nothing.
    pub(super) service: Option<Service>,
    /// What is asked whether the application works; `None`: nothing.
    pub(super) health: Option<Health>,
}

/// A target.
#[derive(Debug, PartialEq)]
pub(super) struct Machine {
    /// Its name in the inventory.
    pub(super) name: TargetName,
    /// Where ssh connects to.
    pub(super) address: Host,
    /// The port; `None`: up to ssh.
    pub(super) port: Option<u16>,
}

/// What is restarted when another release is live.
#[derive(Debug, PartialEq)]
pub(super) enum Service {
    /// A unit of systemd.
    Unit(String),
    /// A command.
    Command(Vec<String>),
}

/// What is asked over HTTP.
#[derive(Debug, PartialEq)]
pub(super) struct Health {
    /// The URL, as the plan has it.
    pub(super) url: String,
    /// Where the request goes.
    pub(super) to: To,
}

/// Where a request for a target's health goes.
#[derive(Debug, PartialEq)]
pub(super) enum To {
    /// To the target, whatever the URL's host is.
    Target,
    /// To what the URL says, from the target: it is a loopback address there.
    Loopback,
    /// To what the URL says, which refers to the target itself.
    Url,
}

/// The reference that a URL may have.
const ADDRESS: &str = "${target.address}";

impl Answers {
    /// Takes what the options say and asks for the rest.
    pub(super) fn collect(args: &Init, ask: &mut dyn Ask) -> Result<Self, Fail> {
        let options = [
            ("--app", &args.app),
            ("--hosts", &args.hosts),
            ("--user", &args.user),
            ("--root", &args.root),
            ("--service", &args.service),
            ("--health-url", &args.health_url),
        ];
        if !ask.is_there() {
            let missing: Vec<String> = options
                .iter()
                .filter(|(_, given)| given.is_none())
                .map(|(flag, _)| format!("`{flag}`"))
                .collect();
            if !missing.is_empty() {
                return Err(Fail::usage(format_args!(
                    "there is no terminal to ask on, and no answer to {}",
                    missing.join(", ")
                ))
                .hint("give each as an option; `--user=`, `--service=` and `--health-url=` may be empty"));
            }
        }
        let folder = args.folder.as_path();
        let name = match &args.name {
            Some(name) => name.clone(),
            None => name_of(folder),
        };
        let name: PlanName =
            name.parse().map_err(|error| Fail::usage(error).hint("give the plan a name with `--name`"))?;
        let answers = Self {
            app: answer(
                Question {
                    flag: "--app",
                    text: "Folder of the application, relative to the plan",
                    default: Some(usual_app(folder)),
                },
                &args.app,
                ask,
                |text| app(folder, text),
            )?,
            hosts: answer(
                Question {
                    flag: "--hosts",
                    text: "Hosts that it runs on, with commas between them",
                    default: None,
                },
                &args.hosts,
                ask,
                machines,
            )?,
            user: answer(
                Question { flag: "--user", text: "User for ssh (empty: what ssh takes)", default: None },
                &args.user,
                ask,
                user,
            )?,
            root: answer(
                Question {
                    flag: "--root",
                    text: "Folder for releases on the hosts",
                    default: Some(format!("/srv/{name}")),
                },
                &args.root,
                ask,
                root,
            )?,
            service: answer(
                Question {
                    flag: "--service",
                    text: "Service to restart: a systemd unit, or a command that begins with / (empty: none)",
                    default: None,
                },
                &args.service,
                ask,
                service,
            )?,
            health: answer(
                Question {
                    flag: "--health-url",
                    text: "URL that answers 200 when it works (empty: none)",
                    default: None,
                },
                &args.health_url,
                ask,
                health,
            )?,
            environment: args.environment.clone(),
            name,
        };
        answers.reachable()?;
        Ok(answers)
    }

    /// In a URL an address of IPv6 has brackets around it, and a host name has none: one `${target.address}` cannot
    /// stand for both.
    fn reachable(&self) -> Result<(), Fail> {
        let asked = self.health.as_ref().is_some_and(|health| health.to != To::Loopback);
        match self.hosts.iter().find(|machine| asked && machine.address.as_str().contains(':')) {
            None => Ok(()),
            Some(machine) => Err(Fail::usage(format_args!(
                "`--health-url` cannot be asked of `{}`: an address of IPv6 does not fit where a host name does",
                machine.address
            ))
            .hint("give that host by a name, or the health URL as the host itself sees it: `http://localhost/health`")),
        }
    }
}

/// What the option says, else whoever is asked.
fn answer<T>(
    question: Question,
    given: &Option<String>,
    ask: &mut dyn Ask,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<T, Fail> {
    let wrong = |why| Fail::usage(format_args!("`{}`: {why}", question.flag));
    let answer = match given {
        Some(given) => given.trim().to_owned(),
        None => ask.ask(&question, &|text| read(text).map(|_| ()))?,
    };
    read(&answer).map_err(wrong)
}

/// A plan's name out of the folder's.
fn name_of(folder: &Path) -> String {
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let whole = whole.canonicalize().unwrap_or(whole);
    let name = whole.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.replace(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c), "-");
    let name: String =
        name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).chars().take(64).collect();
    if name.is_empty() { "app".to_owned() } else { name }
}

/// What the folder of an application is usually called, where there is one.
fn usual_app(folder: &Path) -> String {
    const USUAL: [&str; 5] = ["app", "dist", "build", "public", "site"];
    let found = USUAL.into_iter().find(|name| folder.join(name).is_dir());
    found.unwrap_or(".").to_owned()
}

fn app(folder: &Path, text: &str) -> Result<String, String> {
    plain(text)?;
    let path: WorkspacePath = text.trim_end_matches('/').parse().map_err(|error| format!("{error}"))?;
    if !folder.join(path.as_str()).is_dir() {
        return Err(format!("there is no folder `{}` in `{}`", shown(Path::new(text)), shown(folder)));
    }
    Ok(path.as_str().to_owned())
}

fn machines(text: &str) -> Result<Vec<Machine>, String> {
    let mut machines: Vec<Machine> = Vec::new();
    let words = text.split([',', ' ']).map(str::trim).filter(|word| !word.is_empty());
    for word in words {
        let (host, port) = match word.rsplit_once(':') {
            // More than one colon is an address of IPv6.
            Some((host, port)) if !host.contains(':') => {
                let port = port.parse().ok().filter(|port| *port > 0);
                (
                    host,
                    Some(port.ok_or_else(|| {
                        format!("`{}` has no port from 1 to 65535 behind its `:`", word.escape_debug())
                    })?),
                )
            }
            _ => (word, None),
        };
        let address: Host = host.parse().map_err(|error| format!("{error}"))?;
        if machines.iter().any(|other| other.address == address && other.port == port) {
            return Err(format!("`{word}` is there twice"));
        }
        let whole = target_name(address.as_str());
        machines.push(Machine { name: whole?, address, port });
    }
    if machines.is_empty() {
        return Err("at least one host is needed".to_owned());
    }
    shorten(&mut machines)?;
    Ok(machines)
}

/// The name of a target for an address: what cannot be in a name becomes `-`.
fn target_name(address: &str) -> Result<TargetName, String> {
    let name = address.replace([':', '%'], "-");
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let name: String = name.chars().take(64).collect();
    let name = if name.is_empty() { "host".to_owned() } else { name };
    name.parse().map_err(|error| format!("{error}"))
}

/// Names are the first word of the host, where that tells all machines apart; else what is the same gets a number.
fn shorten(machines: &mut [Machine]) -> Result<(), String> {
    let short = |machine: &Machine| {
        let address = machine.address.as_str();
        let is_address = address.parse::<std::net::IpAddr>().is_ok();
        match address.split_once('.') {
            Some((first, _)) if !is_address => first.to_owned(),
            _ => machine.name.as_str().to_owned(),
        }
    };
    let mut names: Vec<String> = machines.iter().map(short).collect();
    if !distinct(&names) {
        names = machines.iter().map(|machine| machine.name.as_str().to_owned()).collect();
    }
    if !distinct(&names) {
        names = names.iter().enumerate().map(|(index, name)| format!("{name:.56}-{}", index + 1)).collect();
    }
    for (machine, name) in machines.iter_mut().zip(names) {
        machine.name = target_name(&name)?;
    }
    Ok(())
}

fn distinct(names: &[String]) -> bool {
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    sorted.windows(2).all(|pair| pair[0] != pair[1])
}

fn user(text: &str) -> Result<Option<UserName>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| format!("{error}"))
}

fn root(text: &str) -> Result<RemotePath, String> {
    plain(text)?;
    let trimmed = text.trim_end_matches('/');
    if trimmed.is_empty() && text.starts_with('/') {
        return Err("`/` itself cannot hold releases: name a folder of the application's own".to_owned());
    }
    trimmed.parse().map_err(|error| format!("{error}"))
}

fn service(text: &str) -> Result<Option<Service>, String> {
    plain(text)?;
    if text.is_empty() {
        return Ok(None);
    }
    if !text.starts_with('/') {
        // The characters of unit names in systemd.
        let is_unit = text.chars().all(|c| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c));
        return match is_unit && format!("service:{text} restart").parse::<SshGrant>().is_ok() {
            true => Ok(Some(Service::Unit(text.to_owned()))),
            false => Err(format!(
                "`{}` is neither a unit of systemd nor a command: a command begins with `/`",
                text.escape_debug()
            )),
        };
    }
    let argv = shell_words::split(text).map_err(|error| format!("`{}`: {error}", text.escape_debug()))?;
    Ok(Some(Service::Command(argv)))
}

fn health(text: &str) -> Result<Option<Health>, String> {
    plain(&text.replace(ADDRESS, ""))?;
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || format!("`{}` is no URL: write `http://shop.example.org/health`", text.escape_debug());
    let url = Url::parse(&text.replace(ADDRESS, "target.invalid")).map_err(|_| wrong())?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
    if !["http", "https"].contains(&url.scheme()) || !url.username().is_empty() || url.password().is_some() {
        return Err(wrong());
    }
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    let to = match address {
        _ if text.contains(ADDRESS) => To::Url,
        Ok(address) if address.is_loopback() => To::Loopback,
        _ if host == "localhost" => To::Loopback,
        _ => To::Target,
    };
    Ok(Some(Health { url: text.to_owned(), to }))
}

/// References are for those who write plans, and control characters for nobody.
fn plain(text: &str) -> Result<(), String> {
    if text.contains("${") {
        return Err(format!(
            "`{}` has a reference in it: write it into the plan afterwards",
            text.escape_debug()
        ));
    }
    if text.chars().any(runner_model::text::is_unsafe) {
        return Err(format!("`{}` has a character in it that is not seen", text.escape_debug()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<Vec<String>, String> {
        machines(text).map(|found| found.iter().map(|machine| machine.name.to_string()).collect())
    }

    #[test]
    fn hosts_get_the_shortest_names_that_tell_them_apart() {
        for (text, wanted) in [
            ("web-1.example.org,web-2.example.org", &["web-1", "web-2"][..]),
            ("web.a.org, web.b.org", &["web.a.org", "web.b.org"]),
            ("10.0.0.1 10.0.0.2", &["10.0.0.1", "10.0.0.2"]),
            ("web:22,web:2222", &["web-1", "web-2"]),
            ("2001:db8::1", &["2001-db8--1"]),
            ("localhost", &["localhost"]),
        ] {
            assert_eq!(
                names(text).as_deref(),
                Ok(&wanted.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()[..]),
                "{text}"
            );
        }
        for text in ["", ",", "web,web", "web:0", "web:x", "-o", "user@web", "http://web/"] {
            assert!(names(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_service_is_a_unit_or_a_command() {
        assert_eq!(service(""), Ok(None));
        assert_eq!(service("app@1.service"), Ok(Some(Service::Unit("app@1.service".to_owned()))));
        let argv = ["/bin/appctl", "two words", "restart"].map(str::to_owned).to_vec();
        assert_eq!(service("/bin/appctl 'two words' restart"), Ok(Some(Service::Command(argv))));
        for text in ["php fpm", "/bin/x 'open", "/bin/x ${action}", "a\u{202e}b", "*"] {
            assert!(service(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_health_of_each_target_is_asked_there() {
        let to = |text: &str| health(text).map(|health| health.map(|health| health.to));
        assert_eq!(to(""), Ok(None));
        assert_eq!(to("https://shop.example.org/health"), Ok(Some(To::Target)));
        assert_eq!(to("http://${target.address}:8080/"), Ok(Some(To::Url)));
        for text in ["http://127.0.0.1:8080/", "http://[::1]/", "http://localhost/x"] {
            assert_eq!(to(text), Ok(Some(To::Loopback)), "{text}");
        }
        for text in ["/health", "shop.example.org", "ftp://x/", "http://u:p@x/", "http://${target.name}/"] {
            assert!(to(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_root_is_a_folder_of_its_own() {
        assert_eq!(root("/srv/shop/").expect("a path").as_str(), "/srv/shop");
        for text in ["", "/", "srv", "/srv/../etc", "/srv/${x}"] {
            assert!(root(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_plan_is_called_like_its_folder() {
        assert_eq!(name_of(Path::new("/nowhere/my shop")), "my-shop");
        assert_eq!(name_of(Path::new("/nowhere/.shop")), "shop");
        assert_eq!(name_of(Path::new("/")), "app");
    }
}

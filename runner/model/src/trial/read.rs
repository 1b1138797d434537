//! From TOML to a test.

use super::{
    Artifact, ArtifactContent, Asks, CommandAnswer, Expect, Fault, Given, Goes, RequestAnswer, SocketAnswer,
    Trial, read_expected, read_machine,
};
use crate::diagnostic::{Code, Problems};
use crate::plan::{allow, limits, with};
use crate::read::{Item, Reader, Table, choice, text_of};
use crate::source::Spanned;
use crate::{FailureKind, RemotePath, SecretName, TargetName, VarName};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use toml::de::DeValue;

/// The kinds of the contract, which a guest can see, by their words.
pub(super) fn kinds() -> [(&'static str, FailureKind); 9] {
    FailureKind::OF_GUESTS.map(|kind| (kind.word(), kind))
}

/// The calls that can fail, as the journal names them.
pub const CALLS: [&str; 41] = [
    "targets.named",
    "targets.fact",
    "targets.stat",
    "targets.read-dir",
    "targets.read-link",
    "targets.read",
    "targets.digest",
    "targets.disk-free",
    "targets.fetch",
    "targets.service-is-active",
    "targets.write",
    "targets.write-secret",
    "targets.put",
    "targets.mkdir",
    "targets.symlink",
    "targets.rename",
    "targets.remove",
    "targets.remove-tree",
    "targets.set-attributes",
    "targets.unpack",
    "targets.archive",
    "targets.unarchive",
    "targets.service",
    "commands.run",
    "http.send",
    "http.download",
    "sockets.exchange",
    "releases.all",
    "releases.previous",
    "secrets.get",
    "artifacts.pack",
    "artifacts.open",
    "artifacts.from-bytes",
    "artifacts.bytes",
    "artifacts.save",
    "workspace.stat",
    "workspace.read-dir",
    "workspace.read",
    "workspace.digest",
    "workspace.write",
    "timer.sleep",
];

impl Trial {
    /// Reads a test. `name`: the file as problems name it.
    ///
    /// # Errors
    /// Everything that is wrong with it, as far as its own text shows it.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Problems> {
        let reader = Reader::new(text_of(name, bytes)?);
        let trial = reader.document("a test", trial);
        reader.into_problems().or(trial.flatten()).map(|(trial, _)| trial)
    }
}

fn trial(reader: &Reader, table: Table<'_>) -> Option<Trial> {
    let asks = table.take("asks").and_then(|item| {
        choice(reader, &item, &[("observe", Asks::Observe), ("leave", Asks::Leave), ("join", Asks::Join)])
    });
    let subject =
        table.take("subject").and_then(|item| reader.parsed(&item, "the name of a target in quotes"));
    if let (Some(subject), None) = (&subject, &asks) {
        let problem = reader.problem(Code::BadValue, subject.span, "`subject` makes no sense without `asks`");
        reader.push(
            problem
                .because("it is the target that a cluster is asked about")
                .hint("name the target in `[target]`"),
        );
    }
    let trial = Trial {
        asks,
        with: table.take("with").map(|item| with(reader, &item)).unwrap_or_default(),
        allow: table.take("allow").and_then(|item| allow(reader, &item)),
        limits: table.take("limits").map(|item| limits(reader, &item, "`limits`")).unwrap_or_default(),
        acts_as: table.take("become").and_then(|item| reader.parsed(&item, "the name of a user in quotes")),
        secrets: table.take("secrets").map(|item| secrets(reader, &item)).unwrap_or_default(),
        attempt: table
            .take("attempt")
            .and_then(|item| reader.number(&item, 1, 101))
            .map_or(1, |number| number.value),
        release: parsed(reader, &table, "release", "the id of a release in quotes"),
        previous: parsed(reader, &table, "previous", "the id of a release in quotes"),
        workspace: table.take("workspace").map(|item| texts(reader, &item)).unwrap_or_default(),
        artifacts: table.take("artifacts").map(|item| artifacts(reader, &item)).unwrap_or_default(),
        machine: read_machine::machine(reader, table.take("target").as_ref()),
        subject: subject.map_or_else(super::plan::web, |subject: Spanned<TargetName>| subject.value),
        commands: each(reader, &table, "command", "a command", command),
        requests: each(reader, &table, "request", "a request", request),
        sockets: each(reader, &table, "socket", "a socket", socket),
        faults: each(reader, &table, "fault", "a fault", fault),
        expect: match table.require(reader, "expect", "{ outputs = { changed = true } }") {
            Some(item) => read_expected::expect(reader, &item),
            None => Expect::default(),
        },
        source: reader.source.clone(),
    };
    table.finish(reader, &[]);
    Some(trial)
}

/// The tables of `[[key]]`.
fn each<T>(
    reader: &Reader,
    table: &Table<'_>,
    key: &'static str,
    what: &'static str,
    read: impl Fn(&Reader, &Table<'_>) -> Option<T>,
) -> Vec<T> {
    let Some(item) = table.take(key) else { return Vec::new() };
    reader.tables(&item, what).iter().filter_map(|table| read(reader, table)).collect()
}

/// The value of a key that something is made of.
pub(super) fn parsed<T: FromStr<Err: Display>>(
    reader: &Reader,
    table: &Table<'_>,
    key: &'static str,
    must_be: &str,
) -> Option<T> {
    table.take(key).and_then(|item| reader.parsed(&item, must_be)).map(|value| value.value)
}

/// The value of a key that is text.
pub(super) fn string(reader: &Reader, table: &Table<'_>, key: &'static str) -> Option<String> {
    table.take(key).and_then(|item| reader.string(&item)).map(|text| text.value)
}

/// A table of texts, by names that are up to the user.
pub(super) fn texts(reader: &Reader, item: &Item<'_>) -> BTreeMap<String, Spanned<String>> {
    let text = |entry: &Item<'_>| Some((entry.name.to_owned(), reader.string(entry)?));
    reader.entries(item).iter().filter_map(text).collect()
}

/// The same, without where they are.
pub(super) fn plain_texts(reader: &Reader, item: &Item<'_>) -> BTreeMap<String, String> {
    texts(reader, item).into_iter().map(|(name, text)| (name, text.value)).collect()
}

/// The same by paths.
pub(super) fn by_path<T>(
    reader: &Reader,
    item: &Item<'_>,
    read: impl Fn(&Item<'_>) -> Option<T>,
) -> BTreeMap<RemotePath, T> {
    let entry = |entry: &Item<'_>| {
        let path = reader.named::<RemotePath>(entry);
        let value = read(entry);
        Some((path?.value, value?))
    };
    reader.entries(item).iter().filter_map(entry).collect()
}

fn secrets(reader: &Reader, item: &Item<'_>) -> BTreeMap<SecretName, Given> {
    let secret = |entry: &Item<'_>| {
        let name = reader.named::<SecretName>(entry);
        let value = reader.string(entry);
        let (name, value) = (name?, value?);
        Some((name.value, Given { name: name.span, value }))
    };
    reader.entries(item).iter().filter_map(secret).collect()
}

fn artifacts(reader: &Reader, item: &Item<'_>) -> BTreeMap<VarName, Artifact> {
    let artifact = |entry: &Item<'_>| {
        let name = reader.named::<VarName>(entry)?;
        let content = match entry.value {
            DeValue::String(text) => ArtifactContent::File(text.to_string()),
            DeValue::Table(_) => ArtifactContent::Tree(plain_texts(reader, entry)),
            _ => {
                reader.wrong_type(entry, "the text of a file, or a table of the files of a tree");
                return None;
            }
        };
        Some((name.value, Artifact { name: name.span, span: entry.span, content }))
    };
    reader.entries(item).iter().filter_map(artifact).collect()
}

fn command(reader: &Reader, table: &Table<'_>) -> Option<CommandAnswer> {
    const ARGV: &str = "a program and its arguments, as in `[\"nginx\", \"-t\"]`";
    let argv = table.require(reader, "argv", "[\"nginx\", \"-t\"]");
    let argv = argv.as_ref().and_then(|item| Some((item.span, reader.list::<String>(item, ARGV)?)));
    let answer = CommandAnswer {
        span: table.span,
        argv: argv.iter().flat_map(|(_, argv)| argv).map(|argument| argument.value.clone()).collect(),
        stdin: string(reader, table, "stdin"),
        status: number(reader, table, "status", 0, 255).unwrap_or(0),
        stdout: string(reader, table, "stdout").unwrap_or_default(),
        stderr: string(reader, table, "stderr").unwrap_or_default(),
        writes: table
            .take("writes")
            .map(|item| by_path(reader, &item, |entry| reader.string(entry).map(|text| text.value)))
            .unwrap_or_default(),
    };
    table.finish(reader, &[]);
    let (span, _) = argv?;
    if answer.argv.is_empty() {
        reader.push(reader.problem(Code::BadValue, span, "a command needs a program"));
    }
    Some(answer)
}

fn request(reader: &Reader, table: &Table<'_>) -> Option<RequestAnswer> {
    let url = table.require(reader, "url", "\"http://127.0.0.1/health\"").and_then(|item| reader.line(&item));
    let url = url.filter(|url| match crate::grant::parse_url(url) {
        Ok(_) => true,
        Err(failure) => {
            reader.push(reader.problem(Code::BadValue, url.span, failure.message));
            false
        }
    });
    let headers = |key| table.take(key).map(|item| plain_texts(reader, &item)).unwrap_or_default();
    let answer = RequestAnswer {
        span: table.span,
        method: string(reader, table, "method").unwrap_or_else(|| "GET".to_owned()),
        url: url.as_ref().map(|url| url.value.clone()).unwrap_or_default(),
        sent: string(reader, table, "sent"),
        sent_headers: headers("sent-headers"),
        status: number(reader, table, "status", 100, 599).unwrap_or(200),
        headers: headers("headers"),
        body: string(reader, table, "body").unwrap_or_default(),
    };
    table.finish(reader, &[]);
    url.map(|_| answer)
}

fn socket(reader: &Reader, table: &Table<'_>) -> Option<SocketAnswer> {
    let path = table
        .require(reader, "path", "\"/run/haproxy.sock\"")
        .and_then(|item| reader.parsed(&item, "an absolute path in quotes"));
    let said = string(reader, table, "said");
    let answer = string(reader, table, "answer").unwrap_or_default();
    table.finish(reader, &[]);
    Some(SocketAnswer { span: table.span, path: path?.value, said, answer })
}

fn number<T>(reader: &Reader, table: &Table<'_>, key: &'static str, min: T, max: T) -> Option<T>
where
    T: TryFrom<i64> + Display + PartialOrd,
{
    table.take(key).and_then(|item| reader.number(&item, min, max)).map(|number| number.value)
}

fn fault(reader: &Reader, table: &Table<'_>) -> Option<Fault> {
    let words = CALLS.map(|call| (call, call));
    let call =
        table.require(reader, "call", "\"targets.write\"").and_then(|item| choice(reader, &item, &words));
    let nth = number(reader, table, "nth", 1, 1_000_000).unwrap_or(1);
    let kind = table.take("kind").and_then(|item| choice(reader, &item, &kinds()));
    let message = string(reader, table, "message");
    let cancel = table.take("cancel").and_then(|item| reader.boolean(&item));
    let lost = table.take("lost").and_then(|item| reader.boolean(&item));
    table.finish(reader, &[]);
    let is_lost = lost.as_ref().is_some_and(|lost| lost.value);
    let said = [("kind", kind.is_some()), ("message", message.is_some()), ("lost", lost.is_some())];
    let what = match cancel.filter(|cancel| cancel.value) {
        Some(cancel) => {
            if let Some((other, _)) = said.into_iter().find(|(_, said)| *said) {
                let message = format!("a fault has a `{other}` or is a `cancel`");
                let problem = reader.problem(Code::Conflict, cancel.span, message);
                reader.push(problem.hint("remove one of them"));
                return None;
            }
            Goes::Cancelled
        }
        None => {
            let kind = kind.as_ref().map_or(FailureKind::Unreachable, |kind| kind.value);
            let message = message.unwrap_or_else(|| "the test lets it fail".to_owned());
            if is_lost { Goes::Lost(kind, message) } else { Goes::Fails(kind, message) }
        }
    };
    Some(Fault { span: table.span, call: call?.value.to_owned(), nth, what })
}

//! What the handles of the contract stand for in the host. A builder keeps what was put into it and judges nothing:
//! nothing can fail before `run` or `send`, which turn it into the value that is checked, journaled and sent.

use runner_model::grant::parse_url;
use runner_model::{
    BadPath, Command as FinalCommand, Content, Digest, EffectClass, Failure, FailureKind, HIDDEN, RemotePath,
    Request as FinalRequest, Secret as Made, TargetName,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A machine: held means granted to talk about.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name in the inventory.
    pub(crate) name: TargetName,
}

/// Data in the store.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Artifact {
    /// What it is.
    pub(crate) digest: Digest,
    /// In bytes; of a tree, of all its files.
    pub(crate) size: u64,
    /// Whether it is a tree.
    pub(crate) tree: bool,
}

/// A value that the step may use and never sees: what it is made of.
#[derive(Debug, Clone)]
pub struct Secret {
    /// What it is made of.
    pub(crate) made: Made,
    /// The bytes that it keeps in the host.
    pub(crate) held: usize,
}

/// The time that a command has when the step says nothing.
const COMMAND_TIMEOUT: u32 = 60_000;
/// The time that a request has when the step says nothing.
const REQUEST_TIMEOUT: u32 = 30_000;
/// Arguments, variables, headers: more of one kind is a mistake or an attack.
const MOST_ITEMS: usize = 4096;

/// A command in the making.
#[derive(Debug, Clone)]
pub struct Command {
    pub(crate) argv: Vec<String>,
    pub(crate) effect: EffectClass,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) secret_env: BTreeMap<String, Made>,
    pub(crate) stdin: Option<Content>,
    pub(crate) stdin_file: Option<String>,
    pub(crate) decompress: bool,
    pub(crate) stdout_to: Option<String>,
    pub(crate) compress: bool,
    pub(crate) directory: Option<String>,
    pub(crate) timeout: u32,
    pub(crate) accept: Vec<u32>,
    pub(crate) skip_if: Option<Box<Command>>,
    pub(crate) undo: Option<Box<Command>>,
    pub(crate) keep: bool,
    pub(crate) repeatable: bool,
    /// The bytes that it keeps in the host, parts that were replaced included.
    pub(crate) held: usize,
}

/// A request in the making.
#[derive(Debug, Clone)]
pub struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) effect: EffectClass,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) secret_headers: Vec<(String, Made)>,
    pub(crate) body: Option<Content>,
    pub(crate) via: Option<TargetName>,
    pub(crate) connect_to: Option<String>,
    pub(crate) timeout: u32,
    pub(crate) undo: Option<Box<Request>>,
    pub(crate) repeatable: bool,
    /// The bytes that it keeps in the host, parts that were replaced included.
    pub(crate) held: usize,
}

fn invalid(message: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Invalid, message)
}

/// A path on a target, as a step gives it.
pub(crate) fn remote_path(text: &str) -> Result<RemotePath, Failure> {
    text.parse().map_err(|error: BadPath| invalid(error))
}

impl Command {
    pub(crate) fn new(argv: Vec<String>, effect: EffectClass) -> Self {
        Self {
            argv,
            effect,
            env: BTreeMap::new(),
            secret_env: BTreeMap::new(),
            stdin: None,
            stdin_file: None,
            decompress: false,
            stdout_to: None,
            compress: false,
            directory: None,
            timeout: COMMAND_TIMEOUT,
            accept: Vec::new(),
            skip_if: None,
            undo: None,
            keep: false,
            repeatable: false,
            held: 0,
        }
    }

    /// Sets a variable; what was said of it before counts no more.
    pub(crate) fn set(&mut self, name: String, value: String) {
        self.secret_env.remove(&name);
        self.env.insert(name, value);
    }

    /// The same with a secret.
    pub(crate) fn set_secret(&mut self, name: String, value: Made) {
        self.env.insert(name.clone(), HIDDEN.to_owned());
        self.secret_env.insert(name, value);
    }

    /// Says what it reads; what was said before counts no more.
    pub(crate) fn reads(&mut self, content: Content) {
        (self.stdin, self.stdin_file) = (Some(content), None);
    }

    /// The same with a file of the target.
    pub(crate) fn reads_file(&mut self, path: String) {
        (self.stdin, self.stdin_file) = (None, Some(path));
    }

    /// The program as people know it, for messages.
    pub(crate) fn title(&self) -> String {
        let line = self.argv.join(" ");
        let short: String = line.chars().take(120).collect();
        if short.len() < line.len() {
            format!("{}…", short.escape_debug())
        } else {
            short.escape_debug().to_string()
        }
    }

    /// What will be run, or why that makes no sense.
    pub(crate) fn finish(&self) -> Result<FinalCommand, Failure> {
        self.finish_as(Role::Main)
    }

    fn finish_as(&self, role: Role) -> Result<FinalCommand, Failure> {
        let title = self.title();
        let refuse = |why: &str| Err(invalid(format_args!("`{title}`: {why}")));
        match self.argv.first() {
            None => return Err(invalid("a command needs at least a program")),
            Some(program) if program.is_empty() => return refuse("the name of the program is empty"),
            // `env`-like programs take `A=b` as a variable, and a leading dash is an option of whatever starts it.
            Some(program) if program.starts_with('-') => {
                return refuse("the name of the program begins with `-`");
            }
            Some(_) => {}
        }
        if self.argv.len() > MOST_ITEMS || self.env.len() > MOST_ITEMS || self.accept.len() > MOST_ITEMS {
            return refuse("it has too many parts");
        }
        if self.argv.iter().any(|argument| argument.contains('\0')) {
            return refuse("an argument holds a NUL character");
        }
        for (name, value) in &self.env {
            variable(name, value).map_err(|why| invalid(format_args!("`{title}`: {why}")))?;
        }
        if let Some(Content::Text(text)) = &self.stdin
            && text.contains('\0')
        {
            return refuse("its stdin holds a NUL character; use an artifact");
        }
        match role {
            Role::Main if self.effect.needs_undo() && self.undo.is_none() && !self.keep => {
                return refuse(&format!("a command of class {} needs `undo-with`", word(self.effect)));
            }
            Role::Check if self.effect != EffectClass::Read => {
                return refuse("a `skip-if` must be of class read");
            }
            Role::Check if self.skip_if.is_some() => return refuse("a `skip-if` cannot have one of its own"),
            Role::Undo if self.undo.is_some() => return refuse("an undo cannot have an undo of its own"),
            _ => {}
        }
        if self.stdout_to.is_some() && !self.effect.mutates() {
            return refuse("its stdout goes to a file, so it is not of class read");
        }
        if self.keep && (self.effect != EffectClass::Change || self.stdout_to.is_none()) {
            return refuse("`keep` is for a command of class change whose stdout goes to a file");
        }
        if self.keep && self.undo.is_some() {
            return refuse("what it leaves is either kept or undone");
        }
        packed("compress", "stdout-to", self.compress, self.stdout_to.as_deref())
            .and_then(|()| packed("decompress", "stdin-file", self.decompress, self.stdin_file.as_deref()))
            .map_err(|why| invalid(format_args!("`{title}`: {why}")))?;
        let path = |text: &Option<String>| text.as_deref().map(remote_path).transpose();
        let part = |part: &Option<Box<Command>>, role| {
            part.as_ref().map(|command| command.finish_as(role).map(Box::new)).transpose()
        };
        Ok(FinalCommand {
            argv: self.argv.clone(),
            effect: self.effect,
            env: self.env.clone(),
            secret_env: self.secret_env.clone(),
            stdin: self.stdin.clone(),
            stdin_file: path(&self.stdin_file)?,
            decompress: self.decompress,
            stdout_to: path(&self.stdout_to)?,
            compress: self.compress,
            directory: path(&self.directory)?,
            timeout: self.timeout,
            accept: self.accept.clone(),
            skip_if: part(&self.skip_if, Role::Check)?,
            undo: part(&self.undo, Role::Undo)?,
            keep: self.keep,
            repeatable: self.repeatable,
        })
    }
}

/// Whether a file that is packed or unpacked on the way is named so.
fn packed(how: &str, file: &str, is: bool, path: Option<&str>) -> Result<(), String> {
    let named = |path: &str| path.ends_with(".zst") || path.ends_with(".gz");
    match path {
        _ if !is => Ok(()),
        Some(path) if named(path) => Ok(()),
        Some(_) => Err(format!("`{how}` needs a `{file}` whose name ends with `.zst` or `.gz`")),
        None => Err(format!("`{how}` makes no sense without `{file}`")),
    }
}

/// What a command or a request is to the one that is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Main,
    Check,
    Undo,
}

/// The class as people write it.
pub(crate) fn word(effect: EffectClass) -> &'static str {
    match effect {
        EffectClass::Read => "read",
        EffectClass::Change => "change",
        EffectClass::Signal => "signal",
        EffectClass::Leave => "leave",
        EffectClass::Join => "join",
        EffectClass::Opaque => "opaque",
    }
}

/// Whether a variable can be one. Which may be set is the grant's to say: it spells them out.
fn variable(name: &str, value: &str) -> Result<(), String> {
    let well_formed = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !well_formed {
        return Err(format!("`{}` cannot be the name of a variable", name.escape_debug()));
    }
    if value.contains('\0') {
        return Err(format!("the variable `{name}` holds a NUL character"));
    }
    Ok(())
}

impl Request {
    pub(crate) fn new(method: String, url: String, effect: EffectClass) -> Self {
        Self {
            method,
            url,
            effect,
            headers: Vec::new(),
            secret_headers: Vec::new(),
            body: None,
            via: None,
            connect_to: None,
            timeout: REQUEST_TIMEOUT,
            undo: None,
            repeatable: false,
            held: 0,
        }
    }

    /// The method and the URL as people know them, for messages.
    pub(crate) fn title(&self) -> String {
        let line = format!("{} {}", self.method, self.url);
        let short: String = line.chars().take(200).collect();
        if short.len() < line.len() {
            format!("{}…", short.escape_debug())
        } else {
            short.escape_debug().to_string()
        }
    }

    /// What will be sent and its parsed URL, or why that makes no sense.
    pub(crate) fn finish(&self) -> Result<(FinalRequest, url::Url), Failure> {
        self.finish_as(Role::Main)
    }

    fn finish_as(&self, role: Role) -> Result<(FinalRequest, url::Url), Failure> {
        let title = self.title();
        let refuse = |why: &dyn std::fmt::Display| Err(invalid(format_args!("`{title}`: {why}")));
        if self.method.is_empty()
            || self.method.len() > 32
            || !self.method.bytes().all(|b| b.is_ascii_uppercase())
        {
            return refuse(&"the method must be upper-case letters");
        }
        let url = parse_url(&self.url)?;
        if self.headers.len() + self.secret_headers.len() > 256 {
            return refuse(&"it has too many headers");
        }
        for (name, value) in &self.headers {
            header(name, value).map_err(|why| invalid(format_args!("`{title}`: {why}")))?;
        }
        for (name, _) in &self.secret_headers {
            header(name, HIDDEN).map_err(|why| invalid(format_args!("`{title}`: {why}")))?;
        }
        match role {
            Role::Main if self.effect.needs_undo() && self.undo.is_none() => {
                return refuse(&format_args!("a request of class {} needs `undo-with`", word(self.effect)));
            }
            Role::Undo if self.undo.is_some() => return refuse(&"an undo cannot have an undo of its own"),
            _ => {}
        }
        let undo = match &self.undo {
            Some(undo) => Some(Box::new(undo.finish_as(Role::Undo)?.0)),
            None => None,
        };
        let request = FinalRequest {
            method: self.method.clone(),
            url: url.to_string(),
            effect: self.effect,
            headers: self.headers.clone(),
            secret_headers: self.secret_headers.clone(),
            body: self.body.clone(),
            via: self.via.clone(),
            connect_to: self.connect_to.clone(),
            timeout: self.timeout,
            undo,
            repeatable: self.repeatable,
        };
        Ok((request, url))
    }
}

/// Headers that say where a request goes or where it ends: the grant and the client decide these.
const FORBIDDEN_HEADERS: &[&str] = &[
    "host",
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a header may be set.
fn header(name: &str, value: &str) -> Result<(), String> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || name.len() > 256 || !name.chars().all(token) {
        return Err(format!("`{}` cannot be the name of a header", name.escape_debug()));
    }
    if FORBIDDEN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(format!("the header `{name}` is the host's; for another address, use `connect-to`"));
    }
    if value.len() > 64 * 1024 || value.chars().any(|c| c != '\t' && c.is_control()) {
        return Err(format!("the value of the header `{name}` is too long or holds a control character"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(argv: &[&str], effect: EffectClass) -> Command {
        Command::new(argv.iter().map(|&a| a.to_owned()).collect(), effect)
    }

    fn request(method: &str, url: &str) -> Request {
        Request::new(method.to_owned(), url.to_owned(), EffectClass::Read)
    }

    #[test]
    fn what_changes_needs_its_undo() {
        for effect in [EffectClass::Change, EffectClass::Leave, EffectClass::Join] {
            let mut command = command(&["a"], effect);
            let failure = command.finish().expect_err("no undo");
            assert_eq!(failure.kind, FailureKind::Invalid);
            assert_eq!(
                failure.message,
                format!("`a`: a command of class {} needs `undo-with`", word(effect))
            );
            command.undo = Some(Box::new(self::command(&["b"], effect)));
            command.finish().expect("with its undo");
        }
    }

    #[test]
    fn of_what_a_command_reads_the_last_word_counts() {
        let mut command = command(&["a"], EffectClass::Read);
        let secret = || Content::Secret(Made::named("token".parse().expect("a name")));
        for content in [secret(), Content::Text("x".to_owned()), Content::Artifact(Digest::of("x"))] {
            command.reads_file("/srv/f".to_owned());
            command.reads(content.clone());
            let finished = command.finish().expect("one source");
            assert_eq!((finished.stdin, finished.stdin_file), (Some(content), None));
        }
        command.reads(secret());
        command.reads_file("/srv/f".to_owned());
        let finished = command.finish().expect("one source");
        assert_eq!((finished.stdin, finished.stdin_file), (None, Some("/srv/f".parse().expect("a path"))));
    }

    #[test]
    fn only_the_file_of_a_change_is_kept() {
        let mut dump = command(&["pg_dump"], EffectClass::Change);
        dump.keep = true;
        assert!(dump.finish().is_err(), "there is no file");
        dump.stdout_to = Some("/srv/dump.zst".to_owned());
        assert!(dump.finish().expect("a dump").keep);
        dump.undo = Some(Box::new(command(&["b"], EffectClass::Change)));
        assert!(dump.finish().is_err(), "kept and undone");
        dump.undo = None;
        for effect in [EffectClass::Join, EffectClass::Leave, EffectClass::Opaque, EffectClass::Read] {
            dump.effect = effect;
            assert!(dump.finish().is_err(), "{effect:?}");
        }
    }

    #[test]
    fn what_is_packed_says_so_in_its_name() {
        for path in [None, Some("/srv/dump.sql"), Some("/srv/dump.zst/x")] {
            let mut out = command(&["a"], EffectClass::Opaque);
            (out.stdout_to, out.compress) = (path.map(str::to_owned), true);
            assert!(out.finish().is_err(), "{path:?}");
            let mut in_ = command(&["a"], EffectClass::Read);
            (in_.stdin_file, in_.decompress) = (path.map(str::to_owned), true);
            assert!(in_.finish().is_err(), "{path:?}");
        }
        let mut both = command(&["a"], EffectClass::Opaque);
        (both.stdin_file, both.decompress) = (Some("/srv/a.gz".to_owned()), true);
        (both.stdout_to, both.compress) = (Some("/srv/b.zst".to_owned()), true);
        both.finish().expect("from one to the other");
    }

    #[test]
    fn what_only_reads_writes_no_file() {
        let mut writes = command(&["a"], EffectClass::Read);
        writes.stdout_to = Some("/srv/file".to_owned());
        assert!(writes.finish().expect_err("writes").message.contains("not of class read"));
        let mut main = command(&["a"], EffectClass::Signal);
        main.skip_if = Some(Box::new(writes));
        assert!(main.finish().expect_err("its check writes").message.contains("not of class read"));
    }

    #[test]
    fn a_check_only_reads() {
        let mut main = command(&["a"], EffectClass::Signal);
        main.skip_if = Some(Box::new(command(&["rm", "-rf", "/"], EffectClass::Signal)));
        assert!(main.finish().expect_err("not read").message.contains("must be of class read"));
    }

    #[test]
    fn tricks_with_arguments_and_variables_are_refused() {
        assert!(command(&[], EffectClass::Read).finish().is_err());
        assert!(command(&[""], EffectClass::Read).finish().is_err());
        assert!(command(&["--help"], EffectClass::Read).finish().is_err());
        assert!(command(&["a", "b\0c"], EffectClass::Read).finish().is_err());
        for name in ["BASH_FUNC_ls%%", "a=b", "a b", "", "1a"] {
            let mut command = command(&["a"], EffectClass::Read);
            command.env.insert(name.to_owned(), "x".to_owned());
            assert!(command.finish().is_err(), "{name}");
        }
        let mut escapes = command(&["a"], EffectClass::Opaque);
        escapes.stdout_to = Some("/srv/../etc/passwd".to_owned());
        assert!(escapes.finish().is_err());
    }

    #[test]
    fn tricks_with_urls_and_headers_are_refused() {
        for url in [
            "/relative",
            "file:///etc/passwd",
            "ftp://a.example.org/",
            "http://user@granted.example.org/",
            "http://granted.example.org:x@evil.example.org/",
            "http://granted.example.org\\@evil.example.org/",
            "http://granted.exam\tple.org/",
            " http://granted.example.org/",
            "http://",
            "javascript:alert(1)",
        ] {
            assert!(request("GET", url).finish().is_err(), "{url}");
        }
        for method in ["get", "", "GET /", "GET\r\nX: y"] {
            assert!(request(method, "http://a.example.org/").finish().is_err(), "{method:?}");
        }
        for (name, value) in [
            ("host", "evil"),
            ("Host", "evil"),
            ("content-length", "0"),
            ("transfer-encoding", "chunked"),
            ("x", "a\r\nhost: evil"),
            ("x:y", "z"),
            ("", "z"),
        ] {
            let mut request = request("GET", "http://a.example.org/");
            request.headers.push((name.to_owned(), value.to_owned()));
            assert!(request.finish().is_err(), "{name}");
        }
        let mut fine = request("GET", "http://a.example.org/");
        fine.headers.push(("x-operation".to_owned(), "r-7/config/web1".to_owned()));
        fine.finish().expect("headers of a module's own are free");
    }
}

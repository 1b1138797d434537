//! Files that are encrypted with age: which keys open them, for whom they are made, and what is in them.
//!
//! The format and the cryptography are the `age` crate's; the program `age` reads what is written here, and the other
//! way round.

use super::Why;
use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{Decryptor, Encryptor, Identity, IdentityFile, Recipient};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// More than any file of secrets has, decrypted.
pub(crate) const LARGEST: u64 = 4 << 20;

/// The keys of this user.
pub(crate) struct Keys {
    identities: Vec<Box<dyn Identity>>,
    /// What was looked at, and why it is of no use.
    looked: Vec<String>,
}

impl Keys {
    /// Those that are there: the file in `RUNNER_AGE_IDENTITY`, `runner/age-identity.txt` of the user's configuration, and
    /// the usual keys of ssh.
    pub(crate) fn of_user() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let config = set("XDG_CONFIG_HOME")
            .filter(|folder| folder.is_absolute())
            .or_else(|| Some(std::env::home_dir()?.join(".config")))
            .map(|folder| folder.join("runner/age-identity.txt"));
        let ssh = std::env::home_dir().map(|home| home.join(".ssh"));
        let ssh = ["id_ed25519", "id_rsa"].into_iter().filter_map(|name| Some(ssh.as_ref()?.join(name)));
        let named = set("RUNNER_AGE_IDENTITY");
        let mut keys = Self { identities: Vec::new(), looked: Vec::new() };
        for (file, is_named) in named
            .into_iter()
            .map(|file| (file, true))
            .chain(config.into_iter().chain(ssh).map(|file| (file, false)))
        {
            keys.add(&file, is_named);
        }
        keys
    }

    fn add(&mut self, file: &Path, is_named: bool) {
        let shown = file.display().to_string();
        let text = match read(file).map(|bytes| String::from_utf8(bytes).map(Zeroizing::new)) {
            Ok(Ok(text)) => text,
            Ok(Err(_)) => return self.looked.push(format!("{shown}: it holds no age identity")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_named => return,
            Err(error) => return self.looked.push(format!("{shown}: cannot be read: {error}")),
        };
        if text.contains("-----BEGIN") {
            match age::ssh::Identity::from_buffer(text.as_bytes(), None) {
                Ok(age::ssh::Identity::Unencrypted(key)) => {
                    self.identities.push(Box::new(age::ssh::Identity::from(key)));
                    self.looked.push(format!("{shown}: it does not open the file"));
                }
                Ok(age::ssh::Identity::Encrypted(_)) => self.looked.push(format!(
                    "{shown}: it is protected by a passphrase, which cannot be asked for; make an age key for this \
                     (`age-keygen`)"
                )),
                _ => self.looked.push(format!("{shown}: it is of a kind that age cannot use")),
            }
            return;
        }
        match IdentityFile::from_buffer(text.as_bytes()).map(IdentityFile::into_identities) {
            Ok(Ok(identities)) => {
                self.identities.extend(identities);
                self.looked.push(format!("{shown}: it does not open the file"));
            }
            _ => self.looked.push(format!("{shown}: it holds no age identity")),
        }
    }

    /// What is in a file, decrypted.
    pub(crate) fn open(&self, cipher: &[u8]) -> Result<Zeroizing<String>, Why> {
        let decryptor = Decryptor::new(ArmoredReader::new(cipher)).map_err(|error| no_age_file(&error))?;
        if decryptor.is_scrypt() {
            return Err(Why::new("it is encrypted with a passphrase, which cannot be asked for")
                .hint("encrypt it for keys: `runner secrets rekey`"));
        }
        let identities = self.identities.iter().map(|identity| &**identity as &dyn Identity);
        let reader = decryptor.decrypt(identities).map_err(|error| match error {
            age::DecryptError::NoMatchingKeys => {
                let looked = match self.looked.is_empty() {
                    true => "there is neither `~/.ssh/id_ed25519` nor `~/.ssh/id_rsa`, and `RUNNER_AGE_IDENTITY` names \
                             no file"
                        .to_owned(),
                    false => self.looked.join("\n"),
                };
                Why::new("none of your keys opens it").hint(format_args!(
                    "{looked}\nask somebody who can open it to add your public key to its recipients and to run \
                     `runner secrets rekey`"
                ))
            }
            other => no_age_file(&other),
        })?;
        let mut text = Zeroizing::new(String::new());
        reader.take(LARGEST + 1).read_to_string(&mut text).map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => Why::new("it was changed or cut off, or holds no text"),
            _ => Why::new(format_args!("it cannot be decrypted: {error}")),
        })?;
        if text.len() as u64 > LARGEST {
            return Err(Why::new("it has more than 4 MiB"));
        }
        Ok(text)
    }
}

/// A whole file that a person wrote: nothing that never ends, and no more than any such file has.
pub(crate) fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let open = std::fs::File::open(file)?;
    if !open.metadata()?.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    // In letters it is a third longer.
    open.take(2 * LARGEST).read_to_end(&mut bytes)?;
    match bytes.len() as u64 >= 2 * LARGEST {
        true => Err(std::io::Error::other("it is larger than any file of secrets")),
        false => Ok(bytes),
    }
}

fn no_age_file(error: &age::DecryptError) -> Why {
    let said = runner_model::text::shown(error.to_string().trim()).into_owned();
    Why::new(format_args!("it is not a file that age made, or it was changed: {said}"))
}

/// For whom a file is encrypted.
pub(crate) struct Recipients(Vec<Box<dyn Recipient + Send>>);

impl Recipients {
    /// How many keys open it.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

impl Recipients {
    /// Reads public keys, one a line: of age (`age1…`) or of ssh. What begins with `#` is a comment.
    pub(crate) fn read(text: &str) -> Result<Self, Why> {
        let mut recipients: Vec<Box<dyn Recipient + Send>> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Ok(key) = line.parse::<age::x25519::Recipient>() {
                recipients.push(Box::new(key));
            } else if let Ok(key) = line.parse::<age::ssh::Recipient>() {
                recipients.push(Box::new(key));
            } else {
                let hint = match line.starts_with("AGE-SECRET-KEY") || line.contains("PRIVATE KEY") {
                    true => "that is a private key: take it out, and write the public one that belongs to it",
                    false => "write `age1…`, `ssh-ed25519 …` or `ssh-rsa …`, as in `~/.ssh/id_ed25519.pub`",
                };
                return Err(Why::new(format_args!("line {} is not a public key of age or ssh", number + 1))
                    .hint(hint));
            }
        }
        match recipients.is_empty() {
            true => {
                Err(Why::new("it names nobody")
                    .hint("write the public key of everybody who may open the file"))
            }
            false => Ok(Self(recipients)),
        }
    }

    /// The text, encrypted: as lines of letters, which mail and version control leave as they are.
    pub(crate) fn close(&self, text: &str) -> Result<Vec<u8>, Why> {
        let failed =
            |error: &dyn std::fmt::Display| Why::new(format_args!("it cannot be encrypted: {error}"));
        let recipients = self.0.iter().map(|recipient| &**recipient as &dyn Recipient);
        let encryptor = Encryptor::with_recipients(recipients).map_err(|error| failed(&error))?;
        let write = || -> std::io::Result<Vec<u8>> {
            let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
            let mut writer = encryptor.wrap_output(armor)?;
            writer.write_all(text.as_bytes())?;
            writer.finish()?.finish()
        };
        write().map_err(|error| failed(&error))
    }
}

/// The values in a decrypted file: `name = "value"`, in tables too.
pub(crate) fn values(text: &str) -> Result<toml::Table, Why> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        // The message of the parser without its picture of the line, which has a value in it.
        let at = error.span().map_or(0, |span| span.start);
        let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        Why::new(format_args!("it is not TOML: line {line}: {}", error.message().trim().replace('\n', ", ")))
            .hint("write a line for each secret: `db-password = \"…\"`")
    })?;
    only_text(&table, "")?;
    Ok(table)
}

fn only_text(table: &toml::Table, within: &str) -> Result<(), Why> {
    for (name, value) in table {
        match value {
            toml::Value::String(_) => {}
            toml::Value::Table(inner) => only_text(inner, &format!("{within}{name}."))?,
            _ => {
                let name = format!("{within}{name}");
                return Err(Why::new(format_args!("the value of `{}` is not text", name.escape_debug()))
                    .hint("write it in quotes"));
            }
        }
    }
    Ok(())
}

/// The value of a key: one that is called exactly so, else with dots for keys in keys.
pub(crate) fn pick(value: &serde_json::Value, key: &str) -> Result<Zeroizing<Vec<u8>>, Why> {
    use serde_json::Value as Json;
    let names =
        value.as_object().map(|object| object.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let found = value.get(key).or_else(|| key.split('.').try_fold(value, |value, part| value.get(part)));
    match found {
        Some(Json::String(text)) => Ok(Zeroizing::new(text.as_bytes().to_vec())),
        Some(Json::Number(number)) => Ok(Zeroizing::new(number.to_string().into_bytes())),
        Some(_) => Err(Why::new(format_args!("the value of `{}` is not text", key.escape_debug()))
            .hint("name a key in it, with a dot: `key = \"db.password\"`")),
        None => {
            let why = Why::new(format_args!("it has no key `{}`", key.escape_debug()));
            let near = runner_model::suggest::closest(key, names.iter().map(String::as_str));
            Err(match near {
                Some(near) => why.hint(format_args!("did you mean `{near}`?")),
                None => why.hint("name the key that it has: `key = \"…\"`"),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> (Keys, String) {
        let identity = age::x25519::Identity::generate();
        let public = identity.to_public().to_string();
        (
            Keys {
                identities: vec![Box::new(identity)],
                looked: vec!["key: it does not open the file".to_owned()],
            },
            public,
        )
    }

    #[test]
    fn what_is_closed_is_opened_by_whom_it_is_for() {
        let ((own, public), (other, _)) = (keys(), keys());
        let recipients = Recipients::read(&format!("# me\n\n{public}\n")).expect("a key");
        let cipher = recipients.close("a = \"b\"\n").expect("encrypted");
        assert!(cipher.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----"));
        assert_eq!(own.open(&cipher).expect("opened").as_str(), "a = \"b\"\n");
        let refused = other.open(&cipher).expect_err("not for this key");
        assert_eq!(refused.why, "none of your keys opens it");
        assert!(refused.hint.expect("a hint").contains("rekey"));
        for cut in [0, 10, cipher.len() / 2, cipher.len() - 40] {
            own.open(&cipher[..cut]).expect_err("cut off");
        }
        let mut changed = cipher.clone();
        let at = changed.len() - 60;
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        own.open(&changed).expect_err("changed");
    }

    #[test]
    fn a_file_of_recipients_that_is_wrong_says_where() {
        let refused = |text: &str| Recipients::read(text).err().expect("wrong");
        assert_eq!(refused("# nobody\n").why, "it names nobody");
        let private = refused("\nAGE-SECRET-KEY-1QQQ\n");
        assert_eq!(private.why, "line 2 is not a public key of age or ssh");
        assert!(private.hint.expect("a hint").contains("private key"));
    }

    #[test]
    fn what_is_wrong_in_a_file_is_said_without_a_value() {
        let refused = |text: &str| format!("{:?}", values(text).expect_err("wrong"));
        for text in
            ["a = \"hunter22\"\nb = hunter22\n", "a = \"hunter22", "[x]\na = 5\n", "a = [\"hunter22\"]"]
        {
            assert!(!refused(text).contains("hunter22"), "{}", refused(text));
        }
        assert!(refused("[x]\na = 5\n").contains("`x.a` is not text"));
        assert!(refused("a = \"b\"\n\nb = c\n").contains("line 3"));
    }

    #[test]
    fn a_key_may_be_in_keys() {
        let value = serde_json::json!({ "db.password": "flat", "db": { "user": "shop", "port": 5432 } });
        let picked =
            |key: &str| pick(&value, key).map(|bytes| String::from_utf8(bytes.to_vec()).expect("text"));
        assert_eq!(picked("db.password").expect("there"), "flat");
        assert_eq!(picked("db.user").expect("there"), "shop");
        assert_eq!(picked("db.port").expect("there"), "5432");
        assert_eq!(picked("db").expect_err("a table").why, "the value of `db` is not text");
        assert_eq!(picked("dc").expect_err("missing").hint.as_deref(), Some("did you mean `db`?"));
    }
}

//! Signatures that OpenSSH makes count here, those that are made here count there, and both say the same of a file.

use jiff::Timestamp;
use runner_trust::{AllowedSigners, MODULE_NAMESPACE, SignError, SignatureError, sign};
use ssh_key::{HashAlg, LineEnding, PrivateKey};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const MESSAGE: &[u8] = b"\0asm the component\n\xff";
const WHO: &str = "alice@example.org";

/// Whether OpenSSH's client is here; `./test` installs it.
#[expect(clippy::print_stdout, reason = "the tests are told")]
fn has_openssh() -> bool {
    let has =
        Command::new("ssh-keygen").arg("-?").stderr(Stdio::null()).stdout(Stdio::null()).status().is_ok();
    if !has {
        println!("SKIPPED: signatures of OpenSSH: no `ssh-keygen`");
    }
    has
}

/// A folder with keys and an allowed_signers file.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes a key: its private file.
    fn key(&self, name: &str, kind: &[&str]) -> PathBuf {
        let file = self.path(name);
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-N", "", "-C", "a comment # of it", "-f"]).arg(&file).args(kind);
        assert!(make.status().expect("started").success());
        file
    }

    fn public(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{name}.pub"))).expect("a public key").trim().to_owned()
    }

    /// The file of those who may sign, as it is read here.
    fn signers(&self, text: &str) -> AllowedSigners {
        std::fs::write(self.path("allowed_signers"), text).expect("written");
        AllowedSigners::parse("allowed_signers", text.as_bytes())
            .unwrap_or_else(|problems| panic!("{}", problems.plain()))
    }

    /// Whether OpenSSH takes the signature.
    fn openssh_takes(&self, namespace: &str, armored: &[u8], time: Option<&str>) -> bool {
        let (message, signature) = (self.path("message"), self.path("message.sig"));
        std::fs::write(&message, MESSAGE).expect("written");
        std::fs::write(&signature, armored).expect("written");
        let mut command = Command::new("ssh-keygen");
        command
            .args(["-q", "-Y", "verify", "-I", WHO, "-n", namespace, "-f"])
            .arg(self.path("allowed_signers"));
        command.arg("-s").arg(&signature);
        if let Some(time) = time {
            command.args(["-O", &format!("verify-time={time}")]);
        }
        let message = std::fs::File::open(&message).expect("opened");
        let ended = command.stdin(message).stdout(Stdio::null()).stderr(Stdio::null()).status();
        ended.expect("started").success()
    }
}

fn signed(key: &Path) -> Vec<u8> {
    let mut said = String::new();
    let made = sign(MODULE_NAMESPACE, MESSAGE, key, &mut |line| said.push_str(line));
    made.unwrap_or_else(|error| panic!("{error} {said}")).into_bytes()
}

const KINDS: [(&str, &[&str]); 5] = [
    ("ed25519", &["-t", "ed25519"]),
    ("p256", &["-t", "ecdsa", "-b", "256"]),
    ("p384", &["-t", "ecdsa", "-b", "384"]),
    ("p521", &["-t", "ecdsa", "-b", "521"]),
    ("rsa", &["-t", "rsa", "-b", "2048"]),
];

#[test]
fn keys_of_every_kind_sign_here_and_there() {
    if !has_openssh() {
        return;
    }
    let folder = Folder::new();
    for (name, kind) in KINDS {
        let key = folder.key(name, kind);
        let signers = folder.signers(&format!("{WHO} {}\n", folder.public(name)));
        // By ours, and by theirs beside a file.
        let ours = signed(&key);
        let module = folder.path("greet.wasm");
        std::fs::write(&module, MESSAGE).expect("written");
        let mut theirs = Command::new("ssh-keygen");
        theirs.args(["-q", "-Y", "sign", "-n", MODULE_NAMESPACE, "-f"]).arg(&key).arg(&module);
        assert!(theirs.stderr(Stdio::null()).status().expect("started").success());
        let sig = folder.path("greet.wasm.sig");
        let theirs = std::fs::read(&sig).expect("a signature");
        std::fs::remove_file(sig).expect("removed");
        // And by a third program, that has nothing in common with OpenSSH. It cannot read a private key of ECDSA whose
        // number begins with a zero, one in 256; here no private key is ever read.
        let third = (!kind.contains(&"ecdsa")).then(|| {
            let private = PrivateKey::from_openssh(std::fs::read(&key).expect("read")).expect("a key");
            let made = private.sign(MODULE_NAMESPACE, HashAlg::Sha256, MESSAGE).expect("signed");
            made.to_pem(LineEnding::LF).expect("an armor").into_bytes()
        });
        for armored in [&ours, &theirs].into_iter().chain(&third) {
            let signer = signers.verify(MODULE_NAMESPACE, MESSAGE, armored, Timestamp::now()).expect(name);
            assert!(signer.is(WHO), "{name}");
            let fingerprint =
                Command::new("ssh-keygen").arg("-lf").arg(&key).output().expect("started").stdout;
            assert!(String::from_utf8_lossy(&fingerprint).contains(&signer.fingerprint), "{name}");
            assert!(folder.openssh_takes(MODULE_NAMESPACE, armored, None), "{name}");
            let tampered = signers.verify(MODULE_NAMESPACE, &MESSAGE[1..], armored, Timestamp::now());
            assert!(matches!(tampered, Err(SignatureError::Tampered { .. })), "{name}: {tampered:?}");
        }
    }
}

#[test]
fn both_say_the_same_of_a_line() {
    if !has_openssh() {
        return;
    }
    let folder = Folder::new();
    let key = folder.key("alice", &["-t", "ed25519"]);
    let armored = signed(&key);
    let public = folder.public("alice");
    let mut counted = 0;
    for (line, time) in [
        ("alice@example.org KEY", "20260601Z"),
        ("\"alice@example.org\" KEY", "20260601Z"),
        ("  alice@example.org\tKEY", "20260601Z"),
        ("*@example.org KEY", "20260601Z"),
        ("bob@example.org,al?ce@example.org KEY", "20260601Z"),
        ("*,!alice@example.org KEY", "20260601Z"),
        ("bob@example.org KEY", "20260601Z"),
        ("alice@example.org namespaces=\"runner-module\" KEY", "20260601Z"),
        ("alice@example.org NAMESPACES=\"runner-*,git\" KEY", "20260601Z"),
        ("alice@example.org namespaces=\"*,!runner-module\" KEY", "20260601Z"),
        ("alice@example.org namespaces=\"git\" KEY", "20260601Z"),
        ("alice@example.org valid-before=\"20260601Z\" KEY", "20260601000000Z"),
        ("alice@example.org valid-before=\"20260601Z\" KEY", "20260601000001Z"),
        ("alice@example.org valid-before=\"20260601\" KEY", "20260601000000"),
        ("alice@example.org valid-before=\"20260601\" KEY", "20260601000001"),
        ("alice@example.org valid-after=\"202606011200Z\" KEY", "20260601115959Z"),
        ("alice@example.org valid-after=\"202606011200Z\" KEY", "20260601120000Z"),
        (
            "alice@example.org valid-after=\"20260101\",valid-before=\"20261231235959\",namespaces=\"runner-module\" KEY",
            "20260601Z",
        ),
        ("alice@example.org cert-authority KEY", "20260601Z"),
        ("alice@example.org valid-before=\"20200101\" KEY\nalice@example.org KEY", "20260601Z"),
        ("# alice@example.org KEY", "20260601Z"),
    ] {
        let signers = folder.signers(&format!("{}\n", line.replace("KEY", &public)));
        let at = at(time);
        let here = signers.verify(MODULE_NAMESPACE, MESSAGE, &armored, at).is_ok_and(|signer| signer.is(WHO));
        assert_eq!(here, folder.openssh_takes(MODULE_NAMESPACE, &armored, Some(time)), "{line} at {time}");
        counted += usize::from(here);
    }
    assert_eq!(counted, 12, "and both take some and refuse some");
}

/// A time as OpenSSH is told it, in this machine's zone without a `Z`.
fn at(time: &str) -> Timestamp {
    let zone = if time.ends_with('Z') { jiff::tz::TimeZone::UTC } else { jiff::tz::TimeZone::system() };
    let digits = format!("{:0<14}", time.trim_end_matches('Z'));
    let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", &digits).expect("a time");
    zone.to_timestamp(time).expect("a time")
}

#[test]
fn a_key_that_an_authority_certified_signs_here_and_there() {
    if !has_openssh() {
        return;
    }
    let folder = Folder::new();
    let (key, authority) =
        (folder.key("alice", &["-t", "ed25519"]), folder.key("authority", &["-t", "ecdsa"]));
    let certified = Command::new("ssh-keygen")
        .args([
            "-q",
            "-I",
            "an id",
            "-n",
            "alice@example.org,bob@example.org",
            "-V",
            "20260101:20270101",
            "-s",
        ])
        .arg(authority)
        .arg(folder.path("alice.pub"))
        .status();
    assert!(certified.expect("started").success());
    let armored = signed(&folder.path("alice-cert.pub"));
    for (line, time) in [
        ("*@example.org cert-authority KEY", "20260601"),
        ("bob@example.org cert-authority KEY", "20260601"),
        ("*@example.org KEY", "20260601"),
        ("*@example.org cert-authority KEY", "20251231"),
        ("*@example.org cert-authority KEY", "20270101"),
        ("*@example.org cert-authority,namespaces=\"git\" KEY", "20260601"),
    ] {
        let signers = folder.signers(&format!("{}\n", line.replace("KEY", &folder.public("authority"))));
        let here = signers.verify(MODULE_NAMESPACE, MESSAGE, &armored, at(time));
        let good = line == "*@example.org cert-authority KEY" && time == "20260601";
        assert_eq!(here.is_ok_and(|signer| signer.is(WHO)), good, "{line} at {time}");
        assert_eq!(folder.openssh_takes(MODULE_NAMESPACE, &armored, Some(time)), good, "{line} at {time}");
    }
    assert!(key.exists());
}

#[test]
fn what_could_not_be_signed_says_why() {
    if !has_openssh() {
        return;
    }
    let folder = Folder::new();
    let mut lines = Vec::new();
    let error =
        sign(MODULE_NAMESPACE, MESSAGE, &folder.path("none"), &mut |line| lines.push(line.to_owned()));
    let error = error.expect_err("there is no key");
    assert!(matches!(error, SignError::Failed { .. }), "{error}");
    assert!(error.to_string().contains("No such file"), "{error}");
    assert!(!lines.is_empty() && error.hint().contains("ssh-add"));
    // A public key alone, with no agent that has the other half.
    folder.key("alice", &["-t", "ed25519"]);
    std::fs::remove_file(folder.path("alice")).expect("removed");
    let error =
        sign(MODULE_NAMESPACE, MESSAGE, &folder.path("alice.pub"), &mut |_| {}).expect_err("no private key");
    assert!(error.to_string().contains("did not sign"), "{error}");
}

#[test]
fn a_security_key_is_understood_by_both() {
    if !has_openssh() {
        return;
    }
    use ssh_key::public::{KeyData, SkEd25519};
    use ssh_key::sha2::{Digest as _, Sha256};
    use ssh_key::{Algorithm, PublicKey, Signature, SshSig};
    let folder = Folder::new();
    let private =
        PrivateKey::from_openssh(std::fs::read(folder.key("inner", &["-t", "ed25519"])).expect("read"));
    let private = private.expect("a key");
    let inner = *private.public_key().key_data().ed25519().expect("such a key");
    let public = KeyData::SkEd25519(SkEd25519::new(inner, "ssh:"));
    let signed = SshSig::signed_data(MODULE_NAMESPACE, HashAlg::Sha512, MESSAGE).expect("bytes");
    let trailer = [1, 0, 0, 0, 7];
    let bytes = [&Sha256::digest("ssh:")[..], &trailer, &Sha256::digest(&signed)[..]].concat();
    let made: Signature = signature::Signer::sign(&private, &bytes);
    let made =
        Signature::new(Algorithm::SkEd25519, [made.as_bytes(), &trailer].concat()).expect("a signature");
    let armored = SshSig::new(public.clone(), MODULE_NAMESPACE, HashAlg::Sha512, made).expect("a signature");
    let armored = armored.to_pem(LineEnding::LF).expect("an armor").into_bytes();
    let line = PublicKey::from(public).to_openssh().expect("a key");
    let signers = folder.signers(&format!("{WHO} {line}\n"));
    assert!(signers.verify(MODULE_NAMESPACE, MESSAGE, &armored, Timestamp::now()).is_ok());
    assert!(folder.openssh_takes(MODULE_NAMESPACE, &armored, None));
}

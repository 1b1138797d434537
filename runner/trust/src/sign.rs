//! Signs with the system's `ssh-keygen`, as git does: whatever kind of key, agent, passphrase or security key people use
//! there works here too, and no private key is ever read by this program.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The program could not be started.
    #[error("cannot start `ssh-keygen`: {0}")]
    NoProgram(std::io::Error),
    /// It did not sign.
    #[error("`ssh-keygen` did not sign with {}: {}", .key.display(), why(.said, .status))]
    Failed {
        /// The key.
        key: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The last that it said.
        said: String,
    },
    /// It could not be talked to.
    #[error("cannot talk to `ssh-keygen`: {0}")]
    Talk(std::io::Error),
    /// It printed something else.
    #[error("`ssh-keygen` printed no signature")]
    NoSignature,
}

impl SignError {
    /// What mends it.
    pub fn hint(&self) -> String {
        match self {
            Self::NoProgram(_) => "install OpenSSH's client, 8.1 or newer".to_owned(),
            Self::Failed { .. } => {
                "name a private key, or a public key whose private key the agent has: `ssh-add -L` lists those".to_owned()
            }
            Self::Talk(_) | Self::NoSignature => "see whether `ssh-keygen -Y sign` works by itself".to_owned(),
        }
    }
}

fn why(said: &str, status: &ExitStatus) -> String {
    if said.is_empty() { format!("it ended with {status}") } else { said.to_owned() }
}

/// How much is kept of what the program says.
const KEPT: usize = 2000;

/// Signs a message: the armored signature. `key`: a private key, or a public one whose private key the agent has.
/// `talk`: gets each line that the program says, such as that a security key waits to be touched.
///
/// # Errors
/// The program is missing, or did not sign.
pub fn sign(
    namespace: &str,
    message: &[u8],
    key: &Path,
    talk: &mut dyn FnMut(&str),
) -> Result<String, SignError> {
    let mut child = Command::new("ssh-keygen")
        .args(["-q", "-Y", "sign", "-n", namespace, "-f"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(SignError::NoProgram)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (made, said) = std::thread::scope(|scope| {
        // One that fails closes its end: that it failed is said by its status.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(message)));
        let made = scope.spawn(move || {
            let mut made = String::new();
            let read = stdout.map(|stdout| stdout.take(256 * 1024).read_to_string(&mut made));
            read.transpose().map(|_| made)
        });
        let mut said = String::new();
        let lines = stderr.into_iter().flat_map(|stderr| BufReader::new(stderr).split(b'\n'));
        for line in lines.map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            let line = runner_model::text::shown(line.trim_end_matches('\r')).into_owned();
            talk(&line);
            if said.len() + line.len() < KEPT && !line.is_empty() {
                said.push_str(if said.is_empty() { "" } else { "; " });
                said.push_str(&line);
            }
        }
        (made.join(), said)
    });
    let status = child.wait().map_err(SignError::Talk)?;
    if !status.success() {
        return Err(SignError::Failed { key: key.to_owned(), status, said });
    }
    let made = made.map_err(|_| SignError::NoSignature)?.map_err(SignError::Talk)?;
    match crate::pem::read(made.as_bytes()) {
        Ok(_) => Ok(made),
        Err(_) => Err(SignError::NoSignature),
    }
}

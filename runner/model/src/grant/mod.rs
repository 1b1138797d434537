//! Grants: what a step may do. All else is denied.
//!
//! A module's manifest declares grants over its parameters ([`Capabilities`]); the plan's values bound to them give a
//! [`GrantSet`], which `plan.lock` records and a review accepts; a step's `allow` narrows it, and so does the operator's
//! policy. [`Layers`] puts them together: what one layer does not grant is denied, whatever the others say.
//!
//! # In `ssh = […]`
//!
//! | grant | allows |
//! | --- | --- |
//! | `read:PATH` | the \[read\] verbs on this path and below it |
//! | `write:PATH` | the \[change\] verbs on this path and below it |
//! | `service:UNIT ACTION` | asking the init system; `php-fpm` is `php-fpm.service`; `is-active` only looks, and every other action includes it |
//! | `target:NAME` | a target other than the one that the step acts on |
//! | `as:USER` | becoming this user; only in the lock and a policy, since `become` is the plan's to say |
//! | `socket-CLASS:PATH` | speaking to exactly this socket, in exchanges that the step declares to be of this class: `read`, `signal`, `leave`, `join` or `opaque`. Whatever the class, the step says what it likes there |
//! | `exec-CLASS:PATTERN` | a command that the step declares to be of this class: `read`, `change`, `signal`, `leave`, `join` or `opaque` |
//!
//! A UNIT, a NAME, a USER or an ACTION may be `*`. A path with a segment `.runner`, or one that begins with `.runner-`,
//! belongs to the runner: no grant covers it.
//!
//! # Patterns of commands
//!
//! Words are split at spaces; `'…'` is text as it is, in `"…"` `\"` and `\\` are escapes. No shell ever sees them.
//!
//! | word | matches |
//! | --- | --- |
//! | `nginx` | exactly this argument. As the program, a bare name matches only the bare name, a path only that path |
//! | `*` | exactly one argument: not an empty one, not one that starts with `-`, none with control characters |
//! | `--name=*` | this option with any value |
//! | `**` | at the end: whatever follows, or nothing |
//! | `NAME=value`, `NAME=*` | in front of the program: a variable that the command has. A variable that is not written out is denied |
//!
//! A grant with `**`, or of a program that runs what it is told (`sh`, `env`, `find`, `xargs`, `sudo`, `python` …), is
//! labelled `equals a shell` wherever grants are shown.
//!
//! # In `files = […]`
//!
//! | grant | allows |
//! | --- | --- |
//! | `read:PATH` | reading this path of the plan's folder and below it; `.` is the folder |
//! | `write:PATH` | writing there |
//!
//! # In `http = […]`
//!
//! `[CLASS ]METHOD URL[ at ADDRESS][ from target]`. The class left out is `read` for `GET` and `HEAD`, else `opaque`.
//!
//! | part | matches |
//! | --- | --- |
//! | METHOD | this method |
//! | scheme, host, port | exactly these, as the `url` crate reads them; there is no `*`, and user and password are refused |
//! | path | this path and below it, by segments; where servers could read the path of a request in two ways (`%2f`, `..;`, `//`) only a grant of the whole origin covers it |
//! | `?query` | when written: exactly this path and query; when not: any query |
//! | `at ADDRESS` | connecting to this host, or host and port, in place of the URL's. Without it, `connect-to` is denied |
//! | `from target` | sending it through the target's connection: its `127.0.0.1` is not the runner's |
//!
//! # In `secrets = […]`
//!
//! `NAME[ from SOURCE]`. In a manifest and in `allow`, a name; in the lock each with its whole source; in a policy a name
//! or `*`, and the first words of a source: `* from command`.
//!
//! | part | matches |
//! | --- | --- |
//! | NAME | the secret of this name; `*` is any that the step is given |
//! | `from SOURCE` | a source that begins with these words: `env DB_PASSWORD`, `file PATH`, `command pass show`, `age FILE KEY`, `sops FILE KEY` |
//!
//! # References and parameters
//!
//! In a manifest, `${root}` is a parameter, `${argv...}` all elements of an array as arguments of their own, and
//! `${env...}` in front of the program a table of variables, and behind it `NAME=value` for each; an array in any other place, also on the way to a value,
//! makes one grant for each element: `write:${files.path}` is one for each table in `files`. A parameter that is
//! missing drops its grants, and so does a command that is an empty array. Elsewhere, `${a.b}` are the plan's references. What the run knows only later (`${target.name}`, `${package.version}`) fills one segment
//! of a path, one argument, or the host, the port, one segment or one part of the query of a URL, and is refused when
//! it would be more. Values are filled in after a grant is split, so none becomes a star, an option or two arguments.
//!
//! ```
//! use runner_model::grant::{Ask, GrantSet, Layers};
//!
//! let granted = GrantSet::from_lists(["write:/srv/shop", "exec-signal:nginx -s *"], [], ["GET http://shop.example.org/"]).unwrap();
//! let layers = Layers::new(granted.clone(), granted);
//!
//! let below = "/srv/shop/releases/1".parse().unwrap();
//! assert!(layers.check(&Ask::Write(&below)).is_ok());
//! let beside = "/srv/shop-old".parse().unwrap();
//! assert!(layers.check(&Ask::Write(&beside)).is_err());
//!
//! let url = "http://shop.example.org@evil.example.com/".parse().unwrap();
//! let ask = Ask::Http {
//!     class: runner_model::EffectClass::Read, method: "GET", url: &url, at: None, via_target: false,
//! };
//! assert!(layers.check(&ask).is_err());
//! ```

mod abilities;
mod address;
mod argv;
mod ask;
mod bound;
mod capability;
mod denial;
mod files;
mod fill;
mod http;
mod layers;
mod left;
mod origin;
mod parameter;
mod secrets;
mod set;
mod shell;
mod ssh;
mod words;

pub use abilities::Abilities;
pub use address::address_allowed;
pub use ask::Ask;
pub use capability::{BindError, Capabilities, Capability};
pub use denial::{Denial, Layer};
pub use files::{BadWorkspacePath, WorkspacePath};
pub use layers::{Granted, Layers};
pub use left::Lost;
pub(crate) use left::lost;
pub use origin::parse_url;
pub(crate) use parameter::Unfit;
pub use set::{FileGrant, GrantError, GrantSet, HttpGrant, List, SecretGrant, SshGrant};

#[cfg(test)]
mod tests;

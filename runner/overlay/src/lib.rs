//! A dry run that cannot lie: what the changes of a run would have made of a machine, laid over what is there.
//!
//! [`Overlay::over`] wraps the verbs of a machine. Whatever changes is recorded and not carried out: nothing that a guest
//! asks can change a byte of the target, since the wrapper has no way to any verb that writes (see `reads.rs`). Whatever
//! reads is answered as if the changes before it had been made. Where only the real thing could tell, as what is in an
//! archive that was not made, the answer is a failure of the kind [`FailureKind::Unknown`](runner_model::FailureKind):
//! never a guess.
//!
//! | module | why it exists |
//! | --- | --- |
//! | `reads` | the real target, of which only what reads can be reached |
//! | `node` | what differs, as a tree of places |
//! | `way` | where a path leads through real links and those that would be, held against the grants |
//! | `view`, `whole` | what is at a place, and in a folder |
//! | `observe`, `record` | what a change would find and leave; making it on the tree |
//! | `release` | the releases of a root |
//! | `target` | the verbs |
//! | `left` | all that is there then, for whoever has made the machine up |

mod left;
mod node;
mod observe;
mod reads;
mod record;
mod release;
mod target;
#[cfg(test)]
mod tests;
mod unknown;
mod view;
mod way;
mod whole;

pub use left::Left;

use node::Node;
use reads::Reads;
use record::{Account, Recorded};
use runner_artifact::Store;
use runner_model::{Change, Failure, RemotePath, RunId};
use runner_secret::Vault;
use runner_transport::Target;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use target::Over;

/// What a dry run would have made of one machine; shared by all acting users and invocations of that machine.
#[derive(Debug)]
pub struct Overlay {
    store: Arc<Store>,
    vault: Arc<Vault>,
    run: RunId,
    root: Option<RemotePath>,
    state: Mutex<Made>,
}

/// What came before.
#[derive(Debug)]
struct Made {
    tree: Arc<Node>,
    accounts: Vec<Account>,
    tainted: Option<String>,
    /// The same without changes of files, which do not start or stop anything.
    moved: Option<String>,
}

impl Overlay {
    /// Nothing was changed yet. The store and the vault are those of the machine's transport; `root` is the release root
    /// that the run has there.
    pub fn new(store: Arc<Store>, vault: Arc<Vault>, run: RunId, root: Option<RemotePath>) -> Self {
        let tree = Arc::new(Node::as_it_is());
        let state = Mutex::new(Made { tree, accounts: vec![], tainted: None, moved: None });
        Self { store, vault, run, root, state }
    }

    /// The verbs of this machine, which read what is there and change nothing.
    pub fn over(self: &Arc<Self>, target: Arc<dyn Target>) -> Arc<dyn Target> {
        Arc::new(Over { overlay: Arc::clone(self), reads: Arc::new(Reads::new(target)) })
    }

    /// Why commands and requests would see the old world: `` `/srv/x` was changed before ``. The first reason.
    pub fn is_tainted(&self) -> Option<String> {
        self.made().tainted.clone()
    }

    /// From here on commands and requests would see the old world, as after a request that was listed.
    pub fn taint(&self, why: String) {
        let mut made = self.made();
        made.tainted.get_or_insert_with(|| why.clone());
        made.moved.get_or_insert(why);
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tree(&self) -> Arc<Node> {
        Arc::clone(&self.made().tree)
    }

    fn accounts(&self) -> Vec<Account> {
        self.made().accounts.clone()
    }

    /// Why what runs may run no more, or runs now.
    fn moved(&self) -> Option<String> {
        self.made().moved.clone()
    }

    fn record(&self, what: &str, change: &Change, recorded: Recorded) -> Result<(), Failure> {
        let mut made = self.made();
        made.tree = record::put(what, &made.tree, recorded.puts)?;
        made.accounts.extend(recorded.account);
        made.tainted.get_or_insert_with(|| format!("`{}` was changed before", change.path()));
        Ok(())
    }
}

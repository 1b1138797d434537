//! Laying a tree out: what is unchanged is copied on the target, the rest is sent, all is verified beside and then
//! renamed.

use crate::change::{done, kept, owner};
use crate::channel::Input;
use crate::held::Held;
use crate::listing::Listed;
use crate::machine::refusal;
use crate::observe::{conflict, difference};
use crate::payload::Packing;
use crate::release::{Account, Signature};
use crate::script::Line;
use crate::shell::{Answer, nonce};
use crate::tree::{blocking, listed, stored};
use crate::user::{User, split};
use crate::{Applied, Intent, Within};
use runner_artifact::{Node, Tree, TreePath};
use runner_model::{Attributes, Digest, Failure, FailureKind, Link, Mark, ReleaseId, RemotePath, State};
use std::sync::Arc;

/// What is laid out where.
pub(crate) struct Unpack<'a> {
    pub(crate) path: &'a RemotePath,
    pub(crate) tree: &'a Digest,
    pub(crate) links: &'a [Link],
    pub(crate) reuse: Option<&'a RemotePath>,
    pub(crate) attributes: &'a Attributes,
}

/// How an attempt ended.
enum Laid {
    /// In this temporary folder, verified.
    In(String),
    /// The copies were not what they should be.
    CopiesFailed,
}

impl User {
    /// The tree with the links in place.
    pub(crate) async fn wanted(
        &self,
        what: &str,
        tree: &Digest,
        links: &[Link],
    ) -> Result<Arc<Tree>, Failure> {
        let shared = Arc::clone(&self.machine.shared);
        let (tree, links, what) = (*tree, links.to_vec(), what.to_owned());
        blocking(move || {
            shared.payloads.tree(&tree, &links, || {
                let tree = shared.store.tree(&tree).map_err(|error| stored(&what, &error))?;
                let tree = with_links(&what, &tree, &links)?;
                // For the next release, which takes files from this one: a manifest that is here need not be asked for.
                shared.store.put_tree(&tree).map_err(|error| stored(&what, &error))?;
                Ok(tree)
            })
        })
        .await?
    }

    pub(crate) async fn unpack(
        &self,
        what: &str,
        how: &Unpack<'_>,
        before: &State,
        held: Held<'_>,
        intent: Intent<'_>,
    ) -> Result<Applied, Failure> {
        let (folder, base) = split(how.path);
        let wanted = self.wanted(what, how.tree, how.links).await?;
        if let State::Directory { tree: Some(tree), .. } = before {
            if *tree != wanted.digest() {
                return Err(conflict(what, "the folder is there and holds other things"));
            }
            if how.attributes.owner.is_none() && how.attributes.group.is_none() {
                return Ok(Applied::default());
            }
            let line = kept("v_own", intent).arg(folder).arg(base).arg(owner(how.attributes));
            let answer = self.call(what, held, Some(intent), line, self.machine.limits().data).await?;
            return done(what, &answer);
        }
        let release = self.machine.release_at(how.path);
        let mut present = match how.reuse {
            // Whatever is the matter with an earlier release: without it, all is sent.
            Some(reuse) => self.known(what, reuse, held.turned()).await.ok(),
            None => None,
        };
        self.intend(what, intent).await?;
        let temporary = loop {
            match self.lay(what, how, &wanted, present.as_ref(), release.as_ref(), held).await? {
                Laid::In(temporary) => break temporary,
                Laid::CopiesFailed if present.is_some() => present = None,
                Laid::CopiesFailed => {
                    return Err(conflict(what, "the files could not be copied on the target"));
                }
            }
        };
        let (id, account) = match &release {
            Some(id) => {
                let Some(Signature { by, who, made_at }) = self.machine.signature() else {
                    let why = format!("{what}: no run has begun on the target");
                    return Err(Failure::new(FailureKind::Other, why));
                };
                let account = Account {
                    release: id.clone(),
                    sequence: 0,
                    mark: Mark::Untried,
                    tree: wanted.digest(),
                    artifact: *how.tree,
                    size: wanted.size(),
                    by,
                    who,
                    made_at,
                    marked: None,
                };
                (id.as_str(), account.without_sequence())
            }
            None => ("", String::new()),
        };
        let line = Line::new("m v_place").arg(folder).arg(base).arg(temporary).arg(id).arg(account);
        let answer = self.call(what, held, None, line, self.machine.limits().verb).await?;
        done(what, &answer)
    }

    /// The manifest of an earlier release: of its account where it has one, else of what is there.
    async fn known(&self, what: &str, reuse: &RemotePath, held: Held<'_>) -> Result<Arc<Tree>, Failure> {
        if let Some(id) = self.machine.release_at(reuse)
            && let Some(root) = reuse.parent().and_then(|releases| releases.parent())
        {
            let ledger = self.ledger(&root, Within::both(std::slice::from_ref(&root))).await?;
            if let Some(account) = ledger.all.into_iter().find(|account| account.release == id) {
                return self.manifest(what, &root, &account).await;
            }
        }
        self.list(what, reuse, held).await.map(|listed| Arc::new(listed.tree))
    }

    /// The manifest that an account names: from this machine's store, else from the target.
    async fn manifest(&self, what: &str, root: &RemotePath, account: &Account) -> Result<Arc<Tree>, Failure> {
        let store = Arc::clone(&self.machine.shared.store);
        let digest = account.tree;
        if let Ok(tree) = blocking(move || store.tree(&digest)).await? {
            return Ok(Arc::new(tree));
        }
        let file = root.join(&format!(".runner/releases/{}.tree", account.release));
        let file = file.map_err(|bad| Failure::new(FailureKind::Invalid, format!("{what}: {bad}")))?;
        let (folder, base) = split(&file);
        let line = Line::new("v_cat").arg(folder).arg(base);
        let answer = self
            .long(what, Within::both(std::slice::from_ref(root)).reading(), None, &line, Input::None)
            .await?;
        if answer.status != 0 {
            return Err(refusal(what, &answer));
        }
        let store = Arc::clone(&self.machine.shared.store);
        let what = what.to_owned();
        blocking(move || {
            let odd = |why: &dyn std::fmt::Display| {
                Failure::new(FailureKind::Conflict, format!("{what}: `{file}`: {why}"))
            };
            let tree = Tree::parse(&answer.out).map_err(|error| odd(&error))?;
            if tree.digest() != digest {
                return Err(odd(&"it is not the manifest that the release's account names"));
            }
            let _ = store.put_tree(&tree);
            Ok(Arc::new(tree))
        })
        .await?
    }

    async fn lay(
        &self,
        what: &str,
        how: &Unpack<'_>,
        wanted: &Arc<Tree>,
        present: Option<&Arc<Tree>>,
        release: Option<&ReleaseId>,
        held: Held<'_>,
    ) -> Result<Laid, Failure> {
        let shared = &self.machine.shared;
        let packing = if self.ready(what).await?.facts.has.contains_key("zstd") {
            Packing::Zstd
        } else {
            Packing::Plain
        };
        let account = release.map(ReleaseId::as_str);
        let payload = shared.payloads.get(what, &shared.store, wanted, present, account, packing).await?;
        let file = payload.open().map_err(|error| {
            Failure::new(FailureKind::Other, format!("{what}: read back what is to be sent: {error}"))
        })?;
        tracing::debug!(bytes = payload.size(), copies = payload.copies, "laying out a tree");
        let (folder, base) = split(how.path);
        let (reuse_folder, reuse_base) = how.reuse.map(split).unwrap_or_default();
        let mark = nonce();
        let line = Line::new("v_unpack")
            .arg(&folder)
            .arg(&base)
            .arg(Digest::of(&base).short())
            .word(packing.word())
            .arg(reuse_folder)
            .arg(reuse_base)
            .arg(owner(how.attributes))
            .word(&mark);
        let answer = self.long(what, held, None, &line, Input::File(file)).await?;
        match answer.status {
            0 => {}
            50 => return Ok(Laid::CopiesFailed),
            _ => return Err(refusal(what, &Answer { out: last_line(&answer.out), ..answer })),
        }
        let Some(end) = answer.out.iter().position(|&b| b == b'\n') else {
            return Err(crate::user::odd(what, &answer));
        };
        let temporary = String::from_utf8_lossy(&answer.out[..end]).into_owned();
        let found = listed(what, answer.out[end + 1..].to_vec(), mark).await;
        let wrong = match found {
            Ok(Listed { tree, odd_modes, .. }) if tree == **wanted && odd_modes.is_empty() => {
                return Ok(Laid::In(temporary));
            }
            Ok(Listed { tree, odd_modes, .. }) => {
                let modes: Vec<String> = odd_modes.iter().take(5).map(|at| format!("mode: {at}")).collect();
                format!("{}\n{}", difference(wanted, &tree), modes.join("\n"))
            }
            Err(failure) => failure.message,
        };
        let line = Line::new("v_discard").arg(&folder).arg(temporary);
        let limit = self.machine.limits().data;
        self.call(what, held, None, line, limit).await?;
        if payload.copies > 0 {
            return Ok(Laid::CopiesFailed);
        }
        Err(conflict(what, "what arrived is not what was sent").with_detail(wrong.trim()))
    }
}

/// The words of a refusal come last.
pub(crate) fn last_line(out: &[u8]) -> Vec<u8> {
    out.rsplit(|&b| b == b'\n' || b == 0).next().unwrap_or_default().to_vec()
}

fn with_links(what: &str, tree: &Tree, links: &[Link]) -> Result<Tree, Failure> {
    let invalid = |why: &dyn std::fmt::Display| Failure::new(FailureKind::Invalid, format!("{what}: {why}"));
    let mut placed: Vec<(TreePath, Node)> = Vec::with_capacity(links.len());
    for link in links {
        let path: TreePath = link.path.clone().try_into().map_err(|bad| invalid(&bad))?;
        placed.push((path, Node::Symlink { points_to: link.points_to.clone() }));
    }
    let covered = |path: &TreePath| {
        placed.iter().any(|(link, _)| {
            path.as_str()
                .strip_prefix(link.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    let kept: Vec<(TreePath, Node)> = tree
        .entries()
        .filter(|(path, _)| !covered(path))
        .map(|(path, node)| (path.clone(), node.clone()))
        .collect();
    if let Some((path, _)) =
        kept.iter().chain(&placed).find(|(path, _)| path.segments().any(|segment| segment == ".runner"))
    {
        return Err(Failure::new(
            FailureKind::Denied,
            format!("{what}: `{path}` in it would belong to the runner"),
        ));
    }
    Tree::from_entries(kept.into_iter().chain(placed)).map_err(|bad| invalid(&bad))
}

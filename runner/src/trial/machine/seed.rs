//! Makes a machine be as the test says, by the verbs that steps have: what cannot be there for a step cannot be there for a
//! test. All is made by root and then given to whom the test says, the deepest first: what is not said belongs to the user
//! that the step acts as.

use super::Machine;
use runner_artifact::{Node, Store, Tree, TreePath};
use runner_model::trial::{Laid, Trial};
use runner_model::{Attributes, Change, Digest, Failure, FailureKind, RemotePath, UserName};
use runner_transport::{Intent, Target, Within};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Machine {
    /// Lays out what the test says. `acting`: who the step is there; `None`: whoever logs in.
    pub(in crate::trial) async fn seed(
        self: &Arc<Self>,
        trial: &Trial,
        acting: Option<&UserName>,
    ) -> Result<(), Failure> {
        let root = self.overlay.over(self.bare("root".to_owned()));
        let made = &trial.machine;
        let owner = self.called(acting);
        let mut all: BTreeMap<RemotePath, Attributes> = BTreeMap::new();
        let releases = match &made.root {
            Some(root) if !made.releases.is_empty() => Some(below(root, "releases")?),
            _ => None,
        };
        let parents = |path: &RemotePath| std::iter::successors(path.parent(), RemotePath::parent);
        let named = made.files.keys().chain(made.links.keys()).flat_map(parents);
        let folders: BTreeSet<RemotePath> = named
            .chain(made.folders.keys().cloned())
            .chain(made.folders.keys().flat_map(parents))
            .chain(releases.iter().cloned())
            .chain(releases.iter().flat_map(parents))
            .filter(|path| path.parent().is_some())
            .collect();
        for path in folders {
            let attributes =
                made.folders.get(&path).map(|attributes| attributes.value.clone()).unwrap_or_default();
            make(&root, &Change::Mkdir { path: path.clone(), attributes: Attributes::default() }).await?;
            all.insert(path, attributes);
        }
        for Laid { id, files, mark } in &made.releases {
            let (Some(folder), Some(root_of)) = (&releases, &made.root) else { continue };
            let tree = tree(&self.store, files)?;
            let attributes =
                Attributes { owner: Some(owner.clone()), group: Some(owner.clone()), mode: None };
            let path = below(folder, id.as_str())?;
            make(&root, &Change::Unpack { path, tree, links: vec![], reuse: None, attributes }).await?;
            self.state().marks.insert((root_of.clone(), id.value.clone()), *mark);
        }
        for (path, file) in &made.files {
            let text = file.text.clone().unwrap_or_default();
            let content = self.store.put_bytes(text.as_bytes())?;
            let (size, attributes) = (text.len() as u64, Attributes::default());
            make(&root, &Change::Write { path: path.clone(), content, size, attributes }).await?;
            all.insert(path.clone(), file.attributes.clone());
        }
        for (path, points_to) in &made.links {
            make(&root, &Change::Symlink { path: path.clone(), points_to: points_to.value.clone() }).await?;
        }
        // What is below comes after what it is in, so backwards the deepest is first.
        for (path, attributes) in all.into_iter().rev() {
            let attributes = Attributes {
                mode: attributes.mode,
                owner: Some(attributes.owner.clone().unwrap_or_else(|| owner.clone())),
                group: Some(attributes.group.or(attributes.owner).unwrap_or_else(|| owner.clone())),
            };
            make(&root, &Change::SetAttributes { path, attributes }).await?;
        }
        Ok(())
    }
}

fn below(path: &RemotePath, name: &str) -> Result<RemotePath, Failure> {
    path.join(name).map_err(|bad| Failure::new(FailureKind::Invalid, bad))
}

/// A tree of these files, in the store.
pub(in crate::trial) fn tree(store: &Store, files: &BTreeMap<String, String>) -> Result<Digest, Failure> {
    let invalid = |bad: &dyn std::fmt::Display| Failure::new(FailureKind::Invalid, bad);
    let node = |(path, text): (&String, &String)| {
        let path: TreePath = path.clone().try_into().map_err(|bad| invalid(&bad))?;
        let digest = store.put_bytes(text.as_bytes())?;
        Ok((path, Node::File { digest, size: text.len() as u64, executable: text.starts_with("#!") }))
    };
    let nodes: Vec<_> = files.iter().map(node).collect::<Result<_, Failure>>()?;
    let tree = Tree::from_entries(nodes).map_err(|bad| invalid(&bad))?;
    Ok(store.put_tree(&tree)?)
}

async fn make(root: &Arc<dyn Target>, change: &Change) -> Result<(), Failure> {
    let everywhere = [RemotePath::root()];
    let within = Within::both(&everywhere);
    let seen = root.observe(change, within).await?;
    root.apply(change, &seen.before, within, Intent::new("")).await.map(|_| ())
}

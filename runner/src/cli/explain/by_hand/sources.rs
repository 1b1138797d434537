//! What a person types to get sources, and to build them.

use super::super::shell::{Shell, join, plain, plains};
use super::Given;

pub(super) fn git_checkout(given: &Given<'_>, shell: &Shell<'_>) -> Option<Vec<String>> {
    let (to, commit) = (given.word("to")?, given.word("commit")?);
    let git = |words: &[&str]| [vec![plain("git"), plain("-C"), to.clone()], plains(words)].concat();
    let fetch = [git(&["fetch", "--depth=1"]), vec![given.word("repository")?, commit.clone()]].concat();
    let check_out = [git(&["checkout", "--detach"]), vec![commit]].concat();
    Some(vec![shell.there(&[vec![plain("git"), plain("init"), to.clone()], fetch, check_out])])
}

pub(super) fn build(given: &Given<'_>, shell: &Shell<'_>) -> Option<Vec<String>> {
    let work = join(&[&given.word("folder")?, &plain("/work")]);
    let mut lines = Vec::new();
    if let Some(source) = given.word("source") {
        lines.push(shell.here(&[plain("cp"), plain("-a"), source, work.clone()]));
    }
    let mut command = vec![plain("env"), plain("-C"), work];
    command
        .extend(given.pairs("env").iter().map(|(name, value)| join(&[&plain(&format!("{name}=")), value])));
    command.extend(given.words("argv"));
    lines.push(shell.there(&[command]));
    Some(lines)
}

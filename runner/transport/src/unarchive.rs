//! Putting an archive back. What is in it is judged by the listing of the target's own `tar`, before anything of it is
//! unpacked: an archive may come from anywhere, and not every `tar` keeps its members inside of the folder.

use crate::change::{done, kept, owner};
use crate::channel::Input;
use crate::held::Held;
use crate::listing::Listed;
use crate::machine::refusal;
use crate::observe::conflict;
use crate::script::Line;
use crate::shell::{Answer, nonce};
use crate::tree::listed;
use crate::user::{User, odd, split};
use crate::{Applied, Intent};
use runner_model::{Attributes, Digest, EntryKind, Failure, FailureKind, RemotePath, State};
use std::collections::HashSet;

/// What goes where.
pub(crate) struct Unarchive<'a> {
    pub(crate) path: &'a RemotePath,
    pub(crate) archive: &'a RemotePath,
    pub(crate) attributes: &'a Attributes,
}

/// An archive that was read whole, and in which everything stays inside.
pub(crate) struct Sound {
    /// Of the archive itself, in hexadecimal digits.
    sum: String,
    /// It holds a file and no folder.
    file: bool,
}

/// The program that an archive of this name is packed with.
pub(crate) fn packer(path: &RemotePath) -> &'static str {
    let name = path.as_str();
    if name.ends_with(".zst") {
        "zstd"
    } else if name.ends_with(".gz") {
        "gzip"
    } else {
        "plain"
    }
}

impl User {
    /// Fails where the target lacks the program that this is packed with.
    pub(crate) async fn has_packer(&self, what: &str, packer: &str) -> Result<(), Failure> {
        if packer == "plain" || self.ready(what).await?.facts.has.contains_key(packer) {
            return Ok(());
        }
        Err(Failure::new(FailureKind::NotFound, format!("{what}: {packer} is missing on the target")))
    }

    /// Reads the archive, whole. Nothing is written.
    pub(crate) async fn sound(
        &self,
        what: &str,
        archive: &RemotePath,
        held: Held<'_>,
    ) -> Result<Sound, Failure> {
        let packer = packer(archive);
        self.has_packer(what, packer).await.map_err(|f| f.with_detail("install it there"))?;
        let (folder, base) = split(archive);
        let mark = nonce();
        let line = Line::new("v_contents").arg(folder).arg(base).word(packer).word(&mark);
        let answer = self.long(what, held, None, &line, Input::None).await?;
        match answer.status {
            0 => {}
            41 => {
                let message = format!("{what}: no archive is at `{archive}`");
                return Err(Failure::new(FailureKind::NotFound, message));
            }
            _ => {
                let why = crate::unpack::last_line(&answer.out);
                return Err(refusal(&format!("{what} from `{archive}`"), &Answer { out: why, ..answer }));
            }
        }
        judge(&answer.out, &mark)
            .map_err(|(kind, why)| Failure::new(kind, format!("{what}: `{archive}` {why}")))
    }

    /// Answers whether anything differed, and what is there now.
    pub(crate) async fn unarchive(
        &self,
        what: &str,
        how: &Unarchive<'_>,
        before: &State,
        held: Held<'_>,
        intent: Intent<'_>,
    ) -> Result<Applied, Failure> {
        let sound = self.sound(what, how.archive, held).await?;
        self.intend(what, intent).await?;
        let (folder, base) = split(how.path);
        let (archive_folder, archive_base) = split(how.archive);
        let (key, mark) = (Digest::of(&base).short(), nonce());
        let line = Line::new("v_unarchive")
            .arg(&folder)
            .arg(&base)
            .arg(&key)
            .word(packer(how.archive))
            .arg(archive_folder)
            .arg(archive_base)
            .word(&sound.sum)
            .arg(owner(how.attributes))
            .word(&mark);
        let answer = self.long(what, held, None, &line, Input::None).await?;
        if answer.status != 0 {
            let why = crate::unpack::last_line(&answer.out);
            return Err(refusal(what, &Answer { out: why, ..answer }));
        }
        let Some(end) = answer.out.iter().position(|&b| b == b'\n') else {
            return Err(odd(what, &answer));
        };
        let temporary = String::from_utf8_lossy(&answer.out[..end]).into_owned();
        // A name that is not UTF-8 has no place in a tree; what cannot be compared is put in place.
        let fresh = listed(what, answer.out[end + 1..].to_vec(), mark).await.ok();
        let discard = async || {
            let line = Line::new("v_gone").arg(&folder).arg(&temporary);
            self.call(what, held, None, line, self.machine.limits().data).await
        };
        match self.equals(what, how.path, &sound, fresh.as_ref(), held).await {
            Ok(false) => {}
            Ok(true) => {
                let answer = discard().await?;
                let same = Applied { after: Some(before.clone()), ..Applied::default() };
                return if answer.status == 0 { Ok(same) } else { Err(refusal(what, &answer)) };
            }
            Err(failure) => {
                discard().await?;
                return Err(failure);
            }
        }
        let inside = match (sound.file, &fresh) {
            (false, _) => "tree".to_owned(),
            (true, Some(fresh)) if fresh.tree.entries().len() == 1 => {
                let name = fresh.tree.entries().next().map(|(name, _)| name.as_str()).unwrap_or_default();
                format!("tree/{name}")
            }
            (true, _) => {
                discard().await?;
                return Err(conflict(what, "the file in the archive has a name that is not UTF-8"));
            }
        };
        let line = Line::new("m")
            .and(&kept("v_swap", intent))
            .arg(&folder)
            .arg(&base)
            .arg(&key)
            .arg(&temporary)
            .arg(inside);
        let limit = self.machine.limits().data;
        let answer = self.call_with_copy(what, held, None, intent.undo, line, limit).await?;
        if answer.status != 0 {
            discard().await?;
        }
        let swapped = done(what, &answer)?;
        let (now, _) = self.stands(what, how.path, held, true).await?;
        Ok(Applied { size: 1, after: Some(now), ..swapped })
    }

    /// Whether what is at the path is what was unpacked, but for times.
    async fn equals(
        &self,
        what: &str,
        path: &RemotePath,
        sound: &Sound,
        fresh: Option<&Listed>,
        held: Held<'_>,
    ) -> Result<bool, Failure> {
        let Some(fresh) = fresh else { return Ok(false) };
        let seen = self.see(what, path, held, "v_saw").await?;
        let Some((stat, digest, _)) = &seen.found else { return Ok(false) };
        match (stat.kind, sound.file) {
            (EntryKind::Directory, false) => match self.list(what, path, held).await {
                Ok(now) => Ok(now.is_equal_to(fresh)),
                // A socket or an odd name in it is no reason not to replace it.
                Err(failure) if matches!(failure.kind, FailureKind::Invalid | FailureKind::Other) => {
                    Ok(false)
                }
                Err(failure) => Err(failure),
            },
            (EntryKind::File, true) => {
                let Some((name, node)) = fresh.tree.entries().next() else { return Ok(false) };
                let mode = fresh.modes.iter().find(|(at, _)| at == name.as_str()).map(|(_, mode)| *mode);
                let owners = (stat.uid.clone(), stat.gid.clone());
                let owned = fresh
                    .owners
                    .iter()
                    .any(|(at, uid, gid)| at == name.as_str() && (uid, gid) == (&owners.0, &owners.1));
                let same =
                    matches!(node, runner_artifact::Node::File { digest: of, .. } if Some(*of) == *digest);
                Ok(same && owned && mode == Some(stat.mode))
            }
            _ => Ok(false),
        }
    }
}

/// Something in an archive.
struct Member<'a> {
    /// As `tar` prints it, without the slash at the end of a folder.
    name: &'a str,
    folder: bool,
    link: bool,
}

type Refused = (FailureKind, String);

/// Reads what `v_contents` printed: the checksum, the kind of `tar`, and a line for each member, such as
/// `-rw-r--r-- 0/0 12 2026-02-24 15:31 ./a/file`.
fn judge(printed: &[u8], mark: &str) -> Result<Sound, Refused> {
    let text = String::from_utf8_lossy(printed);
    let damaged = |why: &str| (FailureKind::Conflict, why.to_owned());
    // Whoever lists more than anybody reads hides what comes after.
    let whole = text.strip_suffix('\n').and_then(|text| text.strip_suffix(mark));
    let text = whole.ok_or_else(|| damaged("has more in it than can be judged"))?;
    let (sum, rest) = text.split_once('\n').ok_or_else(|| damaged("cannot be read"))?;
    let sum = sum.split(' ').next().filter(|sum| sum.len() == 64).ok_or_else(|| damaged("cannot be read"))?;
    let (tar, rest) = rest.split_once('\n').ok_or_else(|| damaged("cannot be read"))?;
    let mut names = HashSet::new();
    let mut links: HashSet<&str> = HashSet::new();
    let mut members = Vec::new();
    for line in rest.lines() {
        let member = member(line, tar == "gnu", &names)?;
        if !names.insert(member.name) && !member.folder {
            return Err(denied(line, "is in it twice"));
        }
        if member.link {
            links.insert(member.name);
        }
        members.push(member);
    }
    let through = |name: &str| name.match_indices('/').any(|(at, _)| links.contains(&name[..at]));
    if let Some(member) = members.iter().find(|member| through(member.name)) {
        return Err(denied(member.name, "leads through a link"));
    }
    let file = match members.first() {
        Some(first) if first.name == "." && first.folder => false,
        Some(first) if members.len() == 1 && !first.folder && !first.link => true,
        Some(_) => return Err(damaged("is not one that `archive` has made: it begins with no folder")),
        None => return Err(damaged("is empty")),
    };
    Ok(Sound { sum: sum.to_owned(), file })
}

fn denied(member: &str, why: &str) -> Refused {
    (FailureKind::Denied, format!("holds `{}`, which {why}", member.escape_debug()))
}

fn member<'a>(line: &'a str, gnu: bool, before: &HashSet<&str>) -> Result<Member<'a>, Refused> {
    let refused = || denied(line, "is no file, folder or link");
    let (kind, named) = named(line).ok_or_else(refused)?;
    // Where a link has its target behind an arrow, its name ends at the first one: whoever names things so is refused
    // rather than misread.
    let split = |arrow: &str| {
        let mut parts = named.split(arrow);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(name), Some(to), None) => Some((name, to)),
            _ => None,
        }
    };
    let (name, link, hard) = match kind {
        'd' => (named.strip_suffix('/').unwrap_or(named), false, None),
        'l' => (
            split(" -> ").ok_or_else(|| denied(line, "is a link that cannot be told from its target"))?.0,
            true,
            None,
        ),
        'h' => {
            let parts = split(" link to ").or_else(|| split(" -> "));
            let (name, to) =
                parts.ok_or_else(|| denied(line, "is a link that cannot be told from its target"))?;
            (name, false, Some(to))
        }
        // Busybox does not say of a second name that it is one.
        '-' if !gnu && named.contains(" -> ") => match split(" -> ") {
            Some((name, to)) => (name, false, Some(to)),
            None => return Err(refused()),
        },
        '-' => (named, false, None),
        _ => return Err(refused()),
    };
    let inside = name == "." || name.strip_prefix("./").is_some_and(|rest| !rest.is_empty());
    if !inside || name.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")) {
        return Err(denied(name, "would leave the folder"));
    }
    if name.split('/').any(|part| part == ".runner") {
        return Err(denied(name, "would belong to the runner"));
    }
    if name == "." && kind != 'd' {
        return Err(denied(line, "stands for the folder itself"));
    }
    if let Some(to) = hard
        && !before.contains(to)
    {
        return Err(denied(line, "is a second name of something outside of the archive"));
    }
    Ok(Member { name, folder: kind == 'd', link })
}

/// The kind of a member and what follows the five words in front: mode, owner, size, date and time.
fn named(line: &str) -> Option<(char, &str)> {
    let mut rest = line;
    for _ in 0..5 {
        rest = rest.trim_start_matches(' ');
        rest = &rest[rest.find(' ')?..];
    }
    Some((line.chars().next()?, rest.strip_prefix(' ')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(tar: &str, members: &[&str]) -> Result<Sound, Refused> {
        let lines: Vec<String> = members
            .iter()
            .map(|member| {
                let (kind, name) = member.split_at(1);
                format!("{kind}rw-r--r-- 0/0         12 2026-02-24 15:31 {name}\n")
            })
            .collect();
        let sum = "0".repeat(64);
        judge(format!("{sum}  -\n{tar}\n{}mark\n", lines.concat()).as_bytes(), "mark")
    }

    #[test]
    fn a_folder_and_a_file_are_told_apart() {
        let folder = ["d./", "-./a b", "d./d/", "l./d/l -> /etc/passwd", "h./d/h link to ./a b", "-./c -> d"];
        assert!(!judged("gnu", &folder).unwrap_or_else(|(_, why)| panic!("{why}")).file);
        assert!(judged("gnu", &["-./nginx.conf"]).unwrap_or_else(|(_, why)| panic!("{why}")).file);
        assert!(judged("other", &["d./", "-./a", "-./b -> ./a"]).is_ok());
        for members in [&["-./a", "-./b"][..], &[], &["l./a -> b"], &["-a"], &["d./d/"]] {
            assert!(judged("gnu", members).is_err(), "{members:?}");
        }
    }

    #[test]
    fn a_listing_without_its_end_is_not_judged() {
        let printed = format!("{}  -\ngnu\ndrwxr-xr-x 0/0 0 2026-02-24 15:31 ./\n", "0".repeat(64));
        assert!(judge(format!("{printed}mark\n").as_bytes(), "mark").is_ok());
        assert!(judge(printed.as_bytes(), "mark").is_err());
        assert!(
            judge(format!("{printed}mark\n-rw-r--r-- 0/0 0 2026-02-24 15:31 ./x\n").as_bytes(), "mark")
                .is_err()
        );
    }

    #[test]
    fn what_would_leave_the_folder_is_refused() {
        for (tar, member) in [
            ("gnu", "-/etc/passwd"),
            ("gnu", "-../x"),
            ("gnu", "-./../x"),
            ("gnu", "-./a/../../x"),
            ("gnu", "-./a//x"),
            ("gnu", "d./d/../"),
            ("gnu", "h./h link to /etc/shadow"),
            ("gnu", "h./h link to ../x"),
            ("gnu", "h./h link to ./x link to ./f"),
            ("gnu", "l./l -> a -> b"),
            ("gnu", "c./null"),
            ("gnu", "b./sda"),
            ("gnu", "p./pipe"),
            ("gnu", "V./volume"),
            ("gnu", "l./"),
            ("gnu", "l. -> /etc"),
            ("gnu", "-./.runner/lock"),
            ("gnu", "d./x/.runner/"),
            ("gnu", "-./f"),
            ("other", "-./h -> /etc/shadow"),
        ] {
            let refused = judged(tar, &["d./", "-./f", member]);
            assert!(refused.as_ref().is_err_and(|(kind, _)| *kind == FailureKind::Denied), "{member}");
        }
        for members in [["d./", "l./l -> /etc", "-./l/passwd"], ["d./", "-./l/passwd", "l./l -> /etc"]] {
            assert!(
                judged("gnu", &members).is_err_and(|(_, why)| why.contains("through a link")),
                "{members:?}"
            );
        }
    }
}

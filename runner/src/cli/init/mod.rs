//! `runner init`: a few questions, and from the answers a plan and an inventory that `check` and `lock` accept as they
//! are. Every question has an option, so that it works without a terminal; nothing that is there is overwritten.

mod answers;
mod ask;
mod files;

use super::args::Init;
use super::fail::Fail;
use super::{schema, talk};
use crate::written::shown;
use answers::Answers;
use ask::{Ask, Prompts};
use std::fs::File;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

/// The plan's file: what every other command looks for.
const PLAN: &str = "plan.toml";

pub(crate) fn run(args: &Init) -> Result<(), Fail> {
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    init(args, &mut Prompts { terminal })
}

/// Asks what the options do not say, and writes both files.
fn init(args: &Init, ask: &mut dyn Ask) -> Result<(), Fail> {
    let inventory = format!("{}.toml", args.environment);
    if inventory == PLAN {
        return Err(Fail::usage("an environment `plan` would have the plan's own file as its inventory")
            .hint("name it otherwise with `--environment`"));
    }
    let files = [args.folder.join(PLAN), args.folder.join(&inventory)];
    // Before anybody is asked anything.
    for file in &files {
        if file.symlink_metadata().is_ok() {
            return Err(there(file));
        }
    }
    let answers = Answers::collect(args, ask)?;
    std::fs::create_dir_all(&args.folder).map_err(|error| {
        Fail::usage(format_args!("cannot make the folder `{}`: {error}", shown(&args.folder)))
    })?;
    for (file, text) in files.iter().zip([files::plan(&answers), files::inventory(&answers)]) {
        create(file, &text)?;
    }
    schema::install(&args.folder)?;
    talk(&format!(
        "wrote `{}` and `{}`: they are short, read them\nand their schemas for editors into `{}`\n\nnext:\n{}",
        shown(&files[0]),
        shown(&files[1]),
        shown(&args.folder.join(schema::FOLDER)),
        next(&files[0])
    ));
    Ok(())
}

fn there(file: &Path) -> Fail {
    Fail::usage(format_args!("`{}` is there already, and `init` overwrites nothing", shown(file)))
        .hint("name another folder: `runner init deploy`")
}

/// Writes a file that is not there.
fn create(file: &Path, text: &str) -> Result<(), Fail> {
    File::create_new(file).and_then(|mut new| new.write_all(text.as_bytes())).map_err(|error| {
        match error.kind() {
            ErrorKind::AlreadyExists => there(file),
            _ => Fail::usage(format_args!("cannot write `{}`: {error}", shown(file))),
        }
    })
}

/// The three commands that lead to a first release.
fn next(plan: &Path) -> String {
    let plan: PathBuf = plan.strip_prefix(".").unwrap_or(plan).to_owned();
    let named = if plan == Path::new(PLAN) {
        String::new()
    } else {
        format!(" {}", shell_words::quote(&plan.display().to_string()))
    };
    let line = |command: &str, what: &str| format!("  runner {command}{named}  {what}\n");
    [
        line("check", "# what is wrong with it, and what it may touch"),
        line("lock ", "# writes down what it may touch, for review"),
        line("exec ", "# takes the release live"),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::ask::{Check, Question};
    use super::*;
    use runner_model::EnvironmentName;
    use std::collections::VecDeque;

    /// Somebody who answers in this order.
    struct Somebody(VecDeque<&'static str>, Vec<String>);

    impl Ask for Somebody {
        fn is_there(&self) -> bool {
            true
        }

        fn ask(&mut self, question: &Question, check: Check<'_>) -> Result<String, Fail> {
            loop {
                let answer = self.0.pop_front().expect("an answer");
                let answer = if answer.is_empty() {
                    question.default.clone().unwrap_or_default()
                } else {
                    answer.to_owned()
                };
                match check(&answer) {
                    Ok(()) => {
                        self.1.push(format!("{} {answer}", question.flag).trim_end().to_owned());
                        return Ok(answer);
                    }
                    Err(why) => self.1.push(format!("{} {why}", question.flag)),
                }
            }
        }
    }

    fn args(folder: &Path) -> Init {
        Init {
            folder: folder.to_owned(),
            app: None,
            hosts: None,
            user: None,
            root: None,
            service: None,
            health_url: None,
            name: None,
            environment: "production".parse::<EnvironmentName>().expect("a name"),
        }
    }

    #[test]
    fn what_the_options_do_not_say_is_asked_and_asked_again() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("dist")).expect("a folder");
        let mut somebody = Somebody(
            ["", "-x", "web-1.example.org, web-2.example.org:2222", "srv", "/srv/shop/", "php-fpm", ""]
                .into(),
            Vec::new(),
        );
        let mut args = args(folder.path());
        args.user = Some("deploy".to_owned());
        args.name = Some("shop".to_owned());
        init(&args, &mut somebody).map_err(|fail| format!("{fail:?}")).expect("it is written");
        insta::assert_snapshot!(somebody.1.join("\n"), @r"
        --app dist
        --hosts `-x` is not a host: it begins with `-`, and ssh would take it for an option
        --hosts web-1.example.org, web-2.example.org:2222
        --root `srv` is not a path on a target: it must be absolute
        --root /srv/shop/
        --service php-fpm
        --health-url
        ");
        let plan = std::fs::read_to_string(folder.path().join("plan.toml")).expect("a plan");
        assert!(plan.contains("source = \"dist\"") && plan.contains("unit = \"php-fpm\""), "{plan}");
        let inventory = std::fs::read_to_string(folder.path().join("production.toml")).expect("an inventory");
        assert!(inventory.contains("port = 2222") && inventory.contains("user = \"deploy\""), "{inventory}");
    }

    #[test]
    fn the_next_commands_name_the_plan_where_they_must() {
        assert!(next(Path::new("./plan.toml")).contains("runner lock   #"));
        assert!(next(Path::new("my site/plan.toml")).contains("runner exec  'my site/plan.toml'  #"));
    }
}

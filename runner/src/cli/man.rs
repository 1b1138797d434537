//! `runner man`: pages made from the same definition as `--help`.

use super::args::{Cli, Man};
use super::fail::Fail;
use super::{out, talk};
use crate::written::shown;
use clap::{Command, CommandFactory as _};
use std::path::Path;

pub(crate) fn run(args: &Man) -> Result<(), Fail> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    match &args.folder {
        None => out(&page(command)?.text),
        Some(folder) => write(command, folder),
    }
}

/// One page and the name of its file.
struct Page {
    file: String,
    text: String,
}

fn page(command: Command) -> Result<Page, Fail> {
    let page = clap_mangen::Man::new(command);
    let mut text = Vec::new();
    page.render(&mut text)
        .map_err(|error| Fail::internal(format_args!("cannot make a man page: {error}")))?;
    Ok(Page { file: page.get_filename(), text: String::from_utf8_lossy(&text).into_owned() })
}

fn write(command: Command, folder: &Path) -> Result<(), Fail> {
    let mut pages = Vec::new();
    collect(command, &mut pages)?;
    std::fs::create_dir_all(folder)
        .map_err(|error| Fail::usage(format_args!("cannot make the folder `{}`: {error}", shown(folder))))?;
    for page in &pages {
        let file = folder.join(&page.file);
        std::fs::write(&file, &page.text)
            .map_err(|error| Fail::usage(format_args!("cannot write `{}`: {error}", shown(&file))))?;
    }
    talk(&format!("wrote {} pages into `{}`\n", pages.len(), shown(folder)));
    Ok(())
}

/// The page of a command and those of all that is below it.
fn collect(command: Command, pages: &mut Vec<Page>) -> Result<(), Fail> {
    let below: Vec<Command> =
        command.get_subcommands().filter(|below| !below.is_hide_set()).cloned().collect();
    pages.push(page(command)?);
    below.into_iter().try_for_each(|below| collect(below, pages))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of all commands, as their pages are called.
    fn names(command: &Command, above: &str, all: &mut Vec<String>) {
        let name = format!("{above}{}", command.get_name());
        for below in command.get_subcommands() {
            names(below, &format!("{name}-"), all);
        }
        all.push(format!("{name}.1"));
    }

    #[test]
    fn every_command_has_a_page_that_says_what_it_does_and_lists_its_options() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("share/man1");
        run(&Man { folder: Some(folder.clone()) }).expect("it is written");
        let mut wanted = Vec::new();
        names(&Cli::command(), "", &mut wanted);
        let mut found: Vec<String> = std::fs::read_dir(&folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        wanted.sort();
        found.sort();
        assert_eq!(found, wanted);
        for name in &found {
            let text = std::fs::read_to_string(folder.join(name)).expect("a page");
            assert!(text.contains(".TH ") && text.contains(".SH DESCRIPTION"), "{name}:\n{text}");
        }
        let exec = std::fs::read_to_string(folder.join("runner-exec.1")).expect("a page");
        assert!(exec.contains("Take a release live") && exec.contains("\\-\\-environment"), "{exec}");
    }
}

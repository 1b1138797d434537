//! An inventory in each language that one may be written in, with a file of variables beside it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use runner_model::Inventory;
use runner_model::inventory::{Form, VarsFile, Whose};

#[path = "show.rs"]
mod show;

fuzz_target!(|bytes: &[u8]| {
    // What follows a zero byte is the file of variables.
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let (hosts, vars) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    match Inventory::parse("staging.toml", hosts) {
        Ok(inventory) => assert!(!inventory.targets.is_empty()),
        Err(problems) => show::all(&problems),
    }
    let file = |name: &str, whose| VarsFile { whose, name: name.to_owned(), bytes: vars.to_vec(), hidden_by: None };
    let files = [
        file("group_vars/all.yml", Whose::Group("all".to_owned())),
        file("host_vars/web-1", Whose::Host("web-1".to_owned())),
    ];
    for form in [Form::Ini, Form::Yaml, Form::of("hosts", hosts)] {
        let (_, problems) = Inventory::read_ansible("hosts", hosts, form, &files);
        if !problems.is_empty() {
            show::all(&problems);
        }
    }
});

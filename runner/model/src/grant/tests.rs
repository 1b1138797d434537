//! What a hostile module could try with each form of a grant.

use super::*;
use crate::template::{Lookup, Reference, ValueTemplate};
use crate::{Command, EffectClass, RemotePath, ServiceAction};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::str::FromStr;

mod commands;
mod denials;
mod paths;
mod requests;
mod secrets;
mod sockets;
mod text;

fn ssh(grants: &[&str]) -> GrantSet {
    GrantSet::from_lists(grants.iter().copied(), [], []).expect("grants")
}

fn http(grants: &[&str]) -> GrantSet {
    GrantSet::from_lists([], [], grants.iter().copied()).expect("grants")
}

fn files(grants: &[&str]) -> GrantSet {
    GrantSet::from_lists([], grants.iter().copied(), []).expect("grants")
}

/// The module's manifest and the lock say the same, and nothing else has a say.
fn layers(grants: GrantSet) -> Layers {
    Layers::new(grants.clone(), grants)
}

fn path(text: &str) -> RemotePath {
    text.parse().expect(text)
}

fn name<T: FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect(text)
}

fn argv(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn texts(grants: &GrantSet) -> Vec<String> {
    grants.texts().into_iter().map(|(_, text)| text).collect()
}

/// What is wrong with a grant, and what helps.
fn wrong<T: FromStr<Err = GrantError> + std::fmt::Debug>(text: &str) -> String {
    let error = text.parse::<T>().expect_err(text);
    match error.hint {
        Some(hint) => format!("{}\nhint: {hint}", error.why),
        None => error.why,
    }
}

/// A scope in which `target.NAME` and outputs of steps have these values.
fn known(values: Value) -> impl Fn(&Reference) -> Lookup {
    move |reference: &Reference| match values.get(reference.to_string()) {
        Some(value) => Lookup::Value(value.clone()),
        None => Lookup::Symbolic,
    }
}

//! What a module declares that it needs: grants over its parameters, and what comes of them with the plan's values.

use super::fill::harmless;
use super::parameter::Parameter;
use super::set::{FileGrant, GrantError, GrantSet, HttpGrant, List, SecretGrant, SshGrant, check_length};
use super::words::{Atom, Why, Word};
use super::{files, http, secrets, ssh};
use crate::template::{Piece, Reference, Template, ValueTemplate};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The form of a declared grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    Ssh(ssh::Shape<Parameter>),
    Files(files::Shape<Parameter>),
    Http(http::Shape<Parameter>),
    Secrets(secrets::Shape<Parameter>),
}

/// A grant over the parameters of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    text: String,
    pub(super) shape: Shape,
}

/// Why a grant did not come about.
enum Miss {
    /// A parameter is missing: the grant is not needed.
    Missing,
    /// The values make no grant.
    Why(Why),
}

impl From<Why> for Miss {
    fn from(why: Why) -> Self {
        Self::Why(why)
    }
}

/// A grant that the values of the plan make none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the module needs `{}`, and with these parameters that is no grant: {why}", .capability.escape_debug())]
pub struct BindError {
    /// The list that it is in.
    pub list: List,
    /// What the module declares.
    pub capability: String,
    /// The parameters in it, as JSON pointers: where the plan is wrong.
    pub pointers: Vec<String>,
    /// What is wrong with what came of it.
    pub why: String,
    /// What helps.
    pub hint: Option<String>,
}

impl Capability {
    /// Reads what a module declares.
    ///
    /// # Errors
    /// What could be a grant with no parameters whatever.
    pub fn parse(list: List, text: &str) -> Result<Self, GrantError> {
        let refuse = |why| GrantError::new(text, why);
        check_length(text).map_err(refuse)?;
        let shape = match list {
            List::Ssh => ssh::Shape::parse(text).map(Shape::Ssh),
            List::Files => files::Shape::parse(text).map(Shape::Files),
            List::Http => http::Shape::parse(text).map(Shape::Http),
            List::Secrets => secrets::Shape::parse(text).map(Shape::Secrets),
        }
        .map_err(refuse)?;
        if matches!(shape, Shape::Ssh(ssh::Shape::As(_))) {
            return Err(refuse(
                Why::new("a module does not choose the user that it acts as")
                    .hint("the plan does, with `become = \"…\"` at the step"),
            ));
        }
        if matches!(&shape, Shape::Secrets(secrets::Shape { from: Some(_), .. })) {
            return Err(refuse(
                Why::new("a module does not choose where a secret comes from")
                    .hint("the plan does, with `[secrets]`: write the name alone"),
            ));
        }
        let capability = Self { text: text.to_owned(), shape };
        let mut trial = GrantSet::default();
        match capability.make(&specimen, &mut trial) {
            Ok(()) | Err(Miss::Missing) => Ok(capability),
            Err(Miss::Why(why)) => Err(refuse(why)),
        }
    }

    /// The list that it is in.
    pub fn list(&self) -> List {
        match self.shape {
            Shape::Ssh(_) => List::Ssh,
            Shape::Files(_) => List::Files,
            Shape::Http(_) => List::Http,
            Shape::Secrets(_) => List::Secrets,
        }
    }

    /// The parameters in it.
    pub(crate) fn holes(&self) -> Vec<&Parameter> {
        let words: Vec<&Word<Parameter>> = match &self.shape {
            Shape::Ssh(ssh::Shape::Path { path, .. }) => vec![path],
            Shape::Ssh(ssh::Shape::Service { unit, action }) => vec![unit, action],
            Shape::Ssh(ssh::Shape::Target(word) | ssh::Shape::As(word)) => vec![word],
            Shape::Ssh(ssh::Shape::Socket { class, path }) => vec![class, path],
            Shape::Ssh(ssh::Shape::Exec { class, variables, argv }) => {
                std::iter::once(class).chain(variables.iter().map(|(_, value)| value)).chain(argv).collect()
            }
            Shape::Files(files::Shape { path, .. }) => vec![path],
            Shape::Secrets(secrets::Shape { name, .. }) => vec![name],
            Shape::Http(http::Shape { class, method, url, at, from }) => {
                class.iter().chain([method, url]).chain(at).chain(from).collect()
            }
        };
        let holes = words.into_iter().flatten().filter_map(|atom| match atom {
            Atom::Hole(parameter) => Some(parameter),
            Atom::Text(_) | Atom::Star => None,
        });
        holes.collect()
    }

    /// The same with every parameter that leads through this array leading through one element of it.
    fn of_element(&self, array: &Parameter, index: usize) -> Self {
        let mut one = self.clone();
        let words: Vec<&mut Word<Parameter>> = match &mut one.shape {
            Shape::Ssh(ssh::Shape::Path { path, .. }) => vec![path],
            Shape::Ssh(ssh::Shape::Service { unit, action }) => vec![unit, action],
            Shape::Ssh(ssh::Shape::Target(word) | ssh::Shape::As(word)) => vec![word],
            Shape::Ssh(ssh::Shape::Socket { class, path }) => vec![class, path],
            Shape::Ssh(ssh::Shape::Exec { class, variables, argv }) => {
                let variables = variables.iter_mut().map(|(_, value)| value);
                std::iter::once(class).chain(variables).chain(argv).collect()
            }
            Shape::Files(files::Shape { path, .. }) => vec![path],
            Shape::Secrets(secrets::Shape { name, .. }) => vec![name],
            Shape::Http(http::Shape { class, method, url, at, from }) => {
                class.iter_mut().chain([method, url]).chain(at).chain(from).collect()
            }
        };
        for atom in words.into_iter().flatten() {
            if let Atom::Hole(parameter) = atom {
                parameter.choose(array, index);
            }
        }
        one
    }

    /// Fills words by `fill`, which is told what fits there, and adds the grant.
    fn make(&self, fill: Fill<'_>, grants: &mut GrantSet) -> Result<(), Miss> {
        let one = |word: &Word<Parameter>, fits: &'static str| {
            let spreads = word.iter().any(|atom| matches!(atom, Atom::Hole(parameter) if parameter.spread));
            match (spreads, fill(word, fits)?.pop()) {
                (false, Some(word)) => Ok(word),
                _ => Err(Miss::Why(Why::new("`...` spreads an array over the arguments of a command only"))),
            }
        };
        let perhaps = |word: &Option<Word<Parameter>>, fits: &'static str| {
            word.as_ref().map(|word| one(word, fits)).transpose()
        };
        match &self.shape {
            Shape::Ssh(shape) => {
                let shape = match shape {
                    ssh::Shape::Path { write, path } => {
                        ssh::Shape::Path { write: *write, path: one(path, "/x")? }
                    }
                    ssh::Shape::Service { unit, action } => {
                        ssh::Shape::Service { unit: one(unit, "x")?, action: one(action, "restart")? }
                    }
                    ssh::Shape::Target(name) => ssh::Shape::Target(one(name, "x")?),
                    ssh::Shape::As(user) => ssh::Shape::As(one(user, "x")?),
                    ssh::Shape::Socket { class, path } => {
                        ssh::Shape::Socket { class: one(class, "read")?, path: one(path, "/x")? }
                    }
                    ssh::Shape::Exec { class, variables, argv } => {
                        let words = argv.iter().map(|word| fill(word, "x")).collect::<Result<Vec<_>, _>>()?;
                        // An empty list of arguments asks for no command: as good as left out.
                        if words.iter().all(Vec::is_empty) && !argv.is_empty() {
                            return Err(Miss::Missing);
                        }
                        ssh::Shape::Exec {
                            class: one(class, "read")?,
                            variables: variables
                                .iter()
                                .map(|(name, value)| Ok((name.clone(), one(value, "x")?)))
                                .collect::<Result<_, Miss>>()?,
                            argv: words.into_iter().flatten().collect(),
                        }
                    }
                };
                grants.ssh.push(SshGrant(ssh::Verb::new(&shape)?));
            }
            Shape::Files(files::Shape { write, path }) => {
                let shape = files::Shape { write: *write, path: one(path, "x")? };
                grants.files.push(FileGrant(files::Files::new(&shape)?));
            }
            Shape::Http(shape) => {
                let shape = http::Shape {
                    class: perhaps(&shape.class, "read")?,
                    method: one(&shape.method, "GET")?,
                    url: one(&shape.url, "http://x")?,
                    at: perhaps(&shape.at, "x")?,
                    from: perhaps(&shape.from, "target")?,
                };
                grants.http.push(HttpGrant(http::Requests::new(&shape)?));
            }
            Shape::Secrets(shape) => {
                let shape = secrets::Shape { name: one(&shape.name, "x")?, from: None };
                grants.secrets.push(SecretGrant(secrets::Secrets::new(&shape)?));
            }
        }
        Ok(())
    }

    /// The same with `${env...}` in front of a program spelled out, where it is a table of variables.
    fn with_variables(&self, parameters: &ValueTemplate) -> Result<Self, Why> {
        let mut spelled_out = self.clone();
        let Shape::Ssh(ssh::Shape::Exec { variables, argv, .. }) = &mut spelled_out.shape else {
            return Ok(spelled_out);
        };
        while let Some([Atom::Hole(table)]) = argv.first().map(Vec::as_slice)
            && table.spread
            && let Some(ValueTemplate::Object(values)) = table.value(parameters)?
        {
            for name in values.keys() {
                ssh::check_variable_name(name)?;
                variables.push((name.clone(), vec![Atom::Hole(table.of_table(name))]));
            }
            argv.remove(0);
        }
        Ok(spelled_out)
    }

    /// One for each element of every array that its parameters lead through or end in. Parameters that lead through the
    /// same array are of the same element.
    fn for_each_element(&self, parameters: &ValueTemplate) -> Result<Vec<Self>, Failure> {
        let mut done = Vec::new();
        let mut open = vec![self.clone()];
        while let Some(next) = open.pop() {
            match next.holes().into_iter().find_map(|hole| hole.array(parameters)) {
                None => done.push(next),
                Some((array, length)) if length <= MOST => {
                    open.extend((0..length).rev().map(|index| next.of_element(&array, index)));
                }
                Some(_) => return Err(self.failed(too_many())),
            }
            if done.len() + open.len() > MOST {
                return Err(self.failed(too_many()));
            }
        }
        Ok(done)
    }

    /// Binds it to the plan's values.
    fn bind(&self, parameters: &ValueTemplate, grants: &mut GrantSet) -> Result<(), Failure> {
        let mut count = 0;
        for element in self.for_each_element(parameters)? {
            let spelled_out = element.with_variables(parameters).map_err(|why| element.failed(why))?;
            for one in spelled_out.for_each_element(parameters)? {
                count += 1;
                if count > MOST {
                    return Err(self.failed(too_many()));
                }
                match one.make(&|word, _| bind_word(word, parameters), grants) {
                    Ok(()) | Err(Miss::Missing) => {}
                    Err(Miss::Why(why)) => return Err(one.failed(why)),
                }
            }
        }
        Ok(())
    }

    fn failed(&self, why: Why) -> Failure {
        Failure { why, pointers: self.holes().into_iter().map(Parameter::pointer).collect() }
    }
}

/// Why the values make no grant, and where they are.
struct Failure {
    why: Why,
    pointers: Vec<String>,
}

fn too_many() -> Why {
    Why::new(format!("these arrays would make more than {MOST} grants"))
}

/// The most grants that one declared grant can become.
const MOST: usize = 1000;

type Fill<'a> = &'a dyn Fn(&Word<Parameter>, &'static str) -> Result<Vec<Word<Reference>>, Miss>;

/// Something that fits in the place of every parameter, to see whether the form is right.
fn specimen(word: &Word<Parameter>, fits: &'static str) -> Result<Vec<Word<Reference>>, Miss> {
    let mut filled: Word<Reference> = Vec::new();
    for atom in word {
        let before = match filled.last() {
            Some(Atom::Text(text)) => text.as_str(),
            _ => "",
        };
        let atom = match atom {
            Atom::Text(text) => Atom::Text(text.clone()),
            Atom::Star => Atom::Star,
            Atom::Hole(parameter) if parameter.spread && word.len() > 1 => return Err(lone(parameter)),
            Atom::Hole(_) if filled.is_empty() => Atom::Text(fits.to_owned()),
            Atom::Hole(_) => Atom::Text(harmless(before).to_string()),
        };
        filled.push(atom);
        filled = joined(filled);
    }
    Ok(vec![filled])
}

fn lone(parameter: &Parameter) -> Miss {
    Miss::Why(Why::new(format!("`${{{parameter}}}` must be an argument of its own")))
}

/// The plan's values in the place of the parameters.
fn bind_word(word: &Word<Parameter>, parameters: &ValueTemplate) -> Result<Vec<Word<Reference>>, Miss> {
    if let [Atom::Hole(parameter)] = word.as_slice()
        && parameter.spread
    {
        return match parameter.value(parameters)? {
            None => Err(Miss::Missing),
            Some(ValueTemplate::Array(values)) => {
                values.iter().map(|value| Ok(atoms(&text(parameter, value)?))).collect()
            }
            Some(ValueTemplate::Object(values)) => values
                .iter()
                .map(|(name, value)| {
                    ssh::check_variable_name(name)?;
                    let mut word = vec![Atom::Text(format!("{name}="))];
                    word.extend(atoms(&text(parameter, value)?));
                    Ok(joined(word))
                })
                .collect(),
            Some(_) => {
                Err(Why::new(format!("`{parameter}` is not an array that is known before the plan runs"))
                    .into())
            }
        };
    }
    let mut filled: Word<Reference> = Vec::new();
    for atom in word {
        match atom {
            Atom::Text(text) => filled.push(Atom::Text(text.clone())),
            Atom::Star => filled.push(Atom::Star),
            Atom::Hole(parameter) if parameter.spread => return Err(lone(parameter)),
            Atom::Hole(parameter) => {
                let value = parameter.value(parameters)?.ok_or(Miss::Missing)?;
                filled.extend(atoms(&text(parameter, value)?));
            }
        }
    }
    Ok(vec![joined(filled)])
}

/// Neighbouring texts as one, so that equal words are equal values.
fn joined(word: Word<Reference>) -> Word<Reference> {
    let mut joined: Word<Reference> = Vec::with_capacity(word.len());
    for atom in word {
        match (joined.last_mut(), atom) {
            (Some(Atom::Text(last)), Atom::Text(text)) => last.push_str(&text),
            (_, atom) => joined.push(atom),
        }
    }
    joined
}

fn text(parameter: &Parameter, value: &ValueTemplate) -> Result<Template, Miss> {
    let is = match value {
        ValueTemplate::Text(text) => return Ok(text.clone()),
        ValueTemplate::Number(number) => return Ok(Template::literal(number.to_string())),
        ValueTemplate::Bool(boolean) => return Ok(Template::literal(boolean.to_string())),
        ValueTemplate::Null => "nothing",
        ValueTemplate::Array(_) => "an array",
        ValueTemplate::Object(_) => "a table",
    };
    Err(Why::new(format!("`{parameter}` is {is}, and a grant needs text")).into())
}

fn atoms(text: &Template) -> Word<Reference> {
    text.pieces()
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => Atom::Text(text.clone()),
            Piece::Reference(reference) => Atom::Hole(reference.clone()),
        })
        .collect()
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a module declares that it needs. A list that is left out is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Texts", try_from = "Texts")]
pub struct Capabilities(Vec<Capability>);

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Texts {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ssh: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    http: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<String>,
}

impl TryFrom<Texts> for Capabilities {
    type Error = GrantError;

    fn try_from(texts: Texts) -> Result<Self, GrantError> {
        let read = |list: List, texts: Vec<String>| {
            texts.into_iter().map(move |text| Capability::parse(list, &text))
        };
        read(List::Ssh, texts.ssh)
            .chain(read(List::Files, texts.files))
            .chain(read(List::Http, texts.http))
            .chain(read(List::Secrets, texts.secrets))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl From<Capabilities> for Texts {
    fn from(capabilities: Capabilities) -> Self {
        let mut texts = Self::default();
        for capability in capabilities.0 {
            match capability.list() {
                List::Ssh => texts.ssh.push(capability.text),
                List::Files => texts.files.push(capability.text),
                List::Http => texts.http.push(capability.text),
                List::Secrets => texts.secrets.push(capability.text),
            }
        }
        texts
    }
}

impl Capabilities {
    /// These, in lists.
    pub fn new(capabilities: impl IntoIterator<Item = Capability>) -> Self {
        Self(capabilities.into_iter().collect())
    }

    /// The lists, as a manifest has them.
    pub fn to_json(&self) -> serde_json::Value {
        let mut lists = serde_json::Map::new();
        for capability in &self.0 {
            let list =
                lists.entry(capability.list().key()).or_insert_with(|| serde_json::Value::Array(Vec::new()));
            if let Some(list) = list.as_array_mut() {
                list.push(capability.text.clone().into());
            }
        }
        serde_json::Value::Object(lists)
    }

    /// All of them, list by list.
    pub fn iter(&self) -> impl Iterator<Item = &Capability> {
        self.0.iter()
    }

    /// Whether the module needs nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What comes of them with the values of a plan, in which references may still be symbolic. What has a parameter
    /// that is missing is dropped.
    ///
    /// # Errors
    /// Values that make no grant.
    pub fn bind(&self, parameters: &ValueTemplate) -> Result<GrantSet, BindError> {
        let mut grants = GrantSet::default();
        for capability in &self.0 {
            capability.bind(parameters, &mut grants).map_err(|Failure { why, pointers }| BindError {
                list: capability.list(),
                capability: capability.text.clone(),
                pointers,
                why: why.why,
                hint: why.hint,
            })?;
        }
        Ok(grants.without_repetitions())
    }
}

/// Takes away what is equal to something before it.
pub(super) fn keep_first<T: PartialEq>(list: &mut Vec<T>) {
    let mut index = 0;
    while index < list.len() {
        if list[..index].contains(&list[index]) {
            list.remove(index);
        } else {
            index += 1;
        }
    }
}

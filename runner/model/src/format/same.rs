//! Whether two texts say the same in the same order. The order of targets and steps is what a plan means.

use toml::de::{DeTable, DeValue};

/// The first key that is different; `None`: they are the same.
pub(super) fn difference(before: &str, after: &str) -> Option<String> {
    let (before, after) = (leaves(before), leaves(after));
    let longest = before.len().max(after.len());
    (0..longest).find_map(|index| {
        let (one, other) = (before.get(index), after.get(index));
        let said = |leaf: Option<&Leaf>| leaf.map(|leaf| (leaf.path.clone(), leaf.value.clone()));
        (said(one) != said(other)).then(|| one.or(other).map_or_else(String::new, |leaf| leaf.path.clone()))
    })
}

/// A value that has nothing below it.
struct Leaf {
    start: usize,
    path: String,
    value: String,
}

fn leaves(text: &str) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    match DeTable::parse(text) {
        Ok(table) => table_leaves(table.get_ref(), "", table.span().start, &mut leaves),
        Err(error) => {
            leaves.push(Leaf { start: 0, path: error.message().to_owned(), value: "not TOML".to_owned() });
        }
    }
    leaves.sort_by_key(|leaf| leaf.start);
    leaves
}

fn table_leaves(table: &DeTable<'_>, path: &str, start: usize, leaves: &mut Vec<Leaf>) {
    if table.is_empty() {
        leaves.push(Leaf { start, path: path.to_owned(), value: "{}".to_owned() });
    }
    for (key, value) in table {
        let below =
            if path.is_empty() { key.get_ref().to_string() } else { format!("{path}.{}", key.get_ref()) };
        value_leaves(value.get_ref(), &below, value.span().start, leaves);
    }
}

fn value_leaves(value: &DeValue<'_>, path: &str, start: usize, leaves: &mut Vec<Leaf>) {
    let said = match value {
        DeValue::Table(table) => return table_leaves(table, path, start, leaves),
        DeValue::Array(array) if !array.is_empty() => {
            for (index, element) in array.iter().enumerate() {
                value_leaves(element.get_ref(), &format!("{path}.{index}"), element.span().start, leaves);
            }
            return;
        }
        DeValue::Array(_) => "[]".to_owned(),
        DeValue::String(text) => format!("text {text}"),
        DeValue::Integer(number) => format!("number {} of {}", number.as_str(), number.radix()),
        DeValue::Float(number) => format!("float {}", number.as_str()),
        DeValue::Boolean(boolean) => format!("boolean {boolean}"),
        DeValue::Datetime(time) => format!("time {time}"),
    };
    leaves.push(Leaf { start, path: path.to_owned(), value: said });
}

//! Values in plans that tests write.

use serde_json::Value;

/// A value as TOML has it in a line.
pub(crate) fn inline(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let pairs: Vec<_> = map
                .iter()
                .map(|(key, value)| format!("{} = {}", Value::from(key.as_str()), inline(value)))
                .collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        // Strings and numbers are written alike in both.
        other => other.to_string(),
    }
}

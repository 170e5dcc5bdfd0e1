//! Settings that differ.

use serde_json::{Map, Value};

use super::sheet::{Cell, Sheet};

/// Dotted keys and their values; an array is one value, unless it is of named tables.
pub(super) fn flat(value: &Value) -> Map<String, Value> {
    let mut settings = Map::new();
    add("", value, &mut settings);
    settings
}

fn add(prefix: &str, value: &Value, settings: &mut Map<String, Value>) {
    let below =
        |key: &str| if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                add(&below(key), value, settings);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (number, item) in items.iter().enumerate() {
                let name = item["name"].as_str().map_or(number.to_string(), str::to_owned);
                add(&below(&name), item, settings);
            }
        }
        Value::Null => {}
        other => {
            settings.insert(prefix.to_owned(), other.clone());
        }
    }
}

/// The settings in which `configs` differ: one row each, in the order in which they first come.
pub(super) fn differing(title: &str, names: &[String], configs: &[Map<String, Value>]) -> Sheet {
    let mut keys: Vec<&String> = Vec::new();
    for key in configs.iter().flat_map(Map::keys) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let num_all = keys.len();
    let mut sheet = Sheet::new(title, &["setting"], names);
    for key in keys {
        let values: Vec<Option<&Value>> = configs.iter().map(|config| config.get(key)).collect();
        if values.windows(2).any(|pair| pair[0] != pair[1]) {
            let cells = values.into_iter().map(|value| Cell::or_none(value.map(Cell::setting)));
            sheet.push([key.as_str()], cells);
        }
    }
    let equal = num_all - sheet.rows.len();
    sheet.note = format!("{equal} other settings are equal.");
    sheet
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_shown_and_the_rest_is_counted() {
        let config = |rate: f64, path: &str| {
            flat(&json!({
                "seed": 3,
                "optimizer": { "learning_rate": rate, "betas": [0.9, 0.999] },
                "source": [{ "name": "교과서", "path": path }],
                "head": null,
            }))
        };
        let mut other = config(2e-5, "b");
        other.insert("next_sentence".into(), true.into());
        let names = ["a".to_owned(), "b".to_owned()];
        let sheet = differing("Settings that differ", &names, &[config(5e-5, "a"), other]);
        insta::assert_snapshot!(crate::output::titled(&sheet.table()), @r"
        Settings that differ

        setting                        a        b
        -----------------------  -------  -------
        optimizer.learning_rate  0.00005  0.00002
        source.교과서.path             a        b
        next_sentence                  –     true

        3 other settings are equal.
        ");
    }
}

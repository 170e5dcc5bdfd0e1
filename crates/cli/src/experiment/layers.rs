//! The layers over an experiment file: its arms, the environment, `--set`; then the variables.

use std::path::{Path, PathBuf};

use super::faults::{Fault, nearest};
use super::parse::parse_value;
use super::tree::{KeyPath, Node, Origin, Value};
use crate::paths::normal;

/// The prefix of environment variables that set keys: `BIMED__SECTION__KEY`.
const ENVIRONMENT_PREFIX: &str = "BIMED__";

/// Lays `table`, the `set` of an arm, over `tree`.
pub(crate) fn apply_arm(tree: &mut Node, table: &Node, faults: &mut Vec<Fault>) {
    let Value::Table(entries) = &table.value else {
        faults.push(Fault {
            origin: table.origin.clone(),
            message: format!("`arm.set` is {}, expected a table", table.kind()),
            hint: Some("write `set = { \"section.key\" = value }`".into()),
        });
        return;
    };
    for (key, node) in entries {
        match &node.value {
            // `set = { vocab.policy = "keep" }`, the same with TOML's own dotted keys.
            Value::Table(inner) if !key.contains('.') => {
                for (name, value) in inner {
                    put(tree, &format!("{key}.{name}"), value.clone(), faults);
                }
            }
            _ => put(tree, key, node.clone(), faults),
        }
    }
}

/// Lays the variables of the environment that begin with `BIMED__` over `tree`, in their order.
pub(crate) fn apply_environment(
    tree: &mut Node,
    variables: &[(String, String)],
    faults: &mut Vec<Fault>,
) {
    for (name, text) in variables {
        let Some(key) = name.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
        let key = key.split("__").map(str::to_lowercase).collect::<Vec<_>>().join(".");
        let node = parse_value(text, &Origin::Environment(name.clone()));
        put(tree, &key, node, faults);
    }
}

/// Lays the `--set key=value` arguments over `tree`, in their order.
pub(crate) fn apply_sets(tree: &mut Node, arguments: &[String], faults: &mut Vec<Fault>) {
    for argument in arguments {
        let origin = Origin::Set(argument.clone());
        match argument.split_once('=') {
            Some((key, text)) if !key.trim().is_empty() => {
                put(tree, key.trim(), parse_value(text, &origin), faults);
            }
            _ => faults.push(Fault {
                origin,
                message: "found no `=`, expected `key=value`".into(),
                hint: Some("write `--set section.key=value`".into()),
            }),
        }
    }
}

fn put(tree: &mut Node, key: &str, node: Node, faults: &mut Vec<Fault>) {
    let origin = node.key_origin.clone();
    if let Err((path, found)) = tree.set(&KeyPath::parse(key), node) {
        faults.push(Fault {
            origin,
            message: format!("cannot set `{key}`: `{path}` is {found}"),
            hint: None,
        });
    }
}

/// Puts the variables of `[experiment.paths]` in for `{name}` in every string of the tree; `{{name}}`
/// stays as `{name}`. A variable's value is made absolute: a relative one begins at the experiment
/// file's directory, one of the environment or of `--set` at the working directory. A variable may
/// use those written above it.
pub(crate) fn expand_variables(tree: &mut Node, directory: &Path, faults: &mut Vec<Fault>) {
    let mut variables: Vec<(String, String)> = Vec::new();
    if let Some(Node { value: Value::Table(entries), .. }) =
        tree.get_mut(&KeyPath::parse("experiment.paths"))
    {
        for (name, node) in entries {
            expand(node, &variables, faults);
            let Value::String(text) = &mut node.value else { continue };
            let path = resolve(text, &node.origin, directory);
            *text = std::path::absolute(&path).unwrap_or(path).to_string_lossy().into_owned();
            variables.push((name.clone(), text.clone()));
        }
    }
    let paths = tree.get(&KeyPath::parse("experiment.paths")).cloned();
    expand(tree, &variables, faults);
    if let (Some(paths), Some(node)) = (paths, tree.get_mut(&KeyPath::parse("experiment.paths"))) {
        *node = paths;
    }
}

/// A path as the experiment means it.
pub(crate) fn resolve(text: &str, origin: &Origin, directory: &Path) -> PathBuf {
    match origin {
        Origin::File { .. } => normal(&directory.join(text)),
        Origin::Environment(_) | Origin::Set(_) => PathBuf::from(text),
    }
}

fn expand(node: &mut Node, variables: &[(String, String)], faults: &mut Vec<Fault>) {
    match &mut node.value {
        Value::String(text) => {
            let (expanded, unknown) = substitute(text, variables);
            *text = expanded;
            let origin = &node.origin;
            faults.extend(unknown.iter().map(|name| unknown_variable(name, origin, variables)));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| expand(item, variables, faults)),
        Value::Table(entries) => {
            entries.iter_mut().for_each(|(_, item)| expand(item, variables, faults));
        }
        _ => {}
    }
}

fn unknown_variable(name: &str, origin: &Origin, variables: &[(String, String)]) -> Fault {
    let known = variables.iter().map(|(name, _)| name.as_str());
    let hint = match nearest(name, known) {
        Some(near) => format!("did you mean `{{{near}}}`?"),
        None => {
            format!("give it under `[experiment.paths]`, or write `{{{{{name}}}}}` for the text")
        }
    };
    Fault {
        origin: origin.clone(),
        message: format!("unknown variable `{{{name}}}`"),
        hint: Some(hint),
    }
}

/// `text` with its variables, and the names that are not known. Only a word in braces is a variable:
/// `\d{3}` is none.
fn substitute(text: &str, variables: &[(String, String)]) -> (String, Vec<String>) {
    let mut expanded = String::with_capacity(text.len());
    let mut unknown = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, from) = rest.split_at(open);
        expanded.push_str(before);
        let escaped = from.starts_with("{{");
        let body = &from[if escaped { 2 } else { 1 }..];
        let length = body
            .find(|letter: char| {
                !(letter.is_ascii_lowercase() || letter == '_' || letter.is_ascii_digit())
            })
            .unwrap_or(body.len());
        let (name, after) = body.split_at(length);
        let is_name = name.starts_with(|letter: char| letter.is_ascii_lowercase());
        let closing = if escaped { "}}" } else { "}" };
        match after.strip_prefix(closing) {
            Some(after) if is_name => {
                if escaped {
                    expanded.push_str(&format!("{{{name}}}"));
                } else if let Some((_, value)) = variables.iter().find(|(known, _)| known == name) {
                    expanded.push_str(value);
                } else {
                    unknown.push(name.to_owned());
                }
                rest = after;
            }
            _ => {
                expanded.push('{');
                rest = &from[1..];
            }
        }
    }
    expanded.push_str(rest);
    (expanded, unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_word_in_braces_is_a_variable() {
        let variables = [("data".to_owned(), "/d".to_owned())];
        let check = |text: &str, expected: &str, unknown: &[&str]| {
            let (expanded, names) = substitute(text, &variables);
            assert_eq!(
                (expanded.as_str(), names.as_slice()),
                (expected, unknown.map_to_owned().as_slice())
            );
        };
        check("{data}/의학", "/d/의학", &[]);
        check(r"\d{3}-\d{4}", r"\d{3}-\d{4}", &[]);
        check("{{data}}/x", "{data}/x", &[]);
        check("{date}/x", "/x", &["date"]);
        check("a { b", "a { b", &[]);
    }

    trait MapToOwned {
        fn map_to_owned(&self) -> Vec<String>;
    }

    impl MapToOwned for [&str] {
        fn map_to_owned(&self) -> Vec<String> {
            self.iter().map(|word| (*word).to_owned()).collect()
        }
    }
}

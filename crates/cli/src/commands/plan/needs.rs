//! What is missing, each thing once, whichever arms ask for it.

use serde::Serialize;

use crate::experiment::Arm;
use crate::sections::Experiment;
use crate::stages::inputs::{MissingInput, missing};

/// Something that is missing, and the arms that ask for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Need {
    /// What it is.
    #[serde(flatten)]
    pub(crate) input: MissingInput,
    /// The arms that read it, in the order of the file.
    pub(crate) arms: Vec<String>,
}

/// Everything that is missing: what is needed first, bases before texts, then in the order in which
/// it is met.
pub(crate) fn needs(arms: &[Arm<Experiment>]) -> Vec<Need> {
    merged(arms.iter().map(|arm| (arm.name.as_str(), missing(&arm.config, false))))
}

/// One need for one place: arms that say more of it, or need it more, say it for all.
fn merged<'a>(found: impl IntoIterator<Item = (&'a str, Vec<MissingInput>)>) -> Vec<Need> {
    let mut needs: Vec<Need> = Vec::new();
    for (arm, inputs) in found {
        for input in inputs {
            let is_same =
                |need: &&mut Need| need.input.what == input.what && need.input.path == input.path;
            let Some(need) = needs.iter_mut().find(is_same) else {
                needs.push(Need { input, arms: vec![arm.to_owned()] });
                continue;
            };
            for (known, other) in [
                (&mut need.input.obtain, input.obtain),
                (&mut need.input.licence, input.licence),
                (&mut need.input.access, input.access),
            ] {
                if known.is_empty() {
                    *known = other;
                }
            }
            need.input.is_needed |= input.is_needed;
            if need.arms.last().is_none_or(|last| last != arm) {
                need.arms.push(arm.to_owned());
            }
        }
    }
    let kind = |what: &str| what.split(' ').next().unwrap_or_default().to_owned();
    needs.sort_by_key(|need| (!need.input.is_needed, kind(&need.input.what)));
    needs
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn input(what: &str, path: &str, obtain: &str, is_needed: bool) -> MissingInput {
        MissingInput {
            what: what.to_owned(),
            path: PathBuf::from(path),
            licence: String::new(),
            access: String::new(),
            obtain: obtain.to_owned(),
            is_needed,
        }
    }

    #[test]
    fn what_several_arms_lack_is_told_once() {
        let book = |obtain| input("source 교과서", "/자료/교과서", obtain, true);
        let task = input("task medsts-ko", "/자료/medsts.csv", "", false);
        let found = merged([
            ("first", vec![input("base", "/a", "", true), book(""), task.clone()]),
            ("second", vec![input("base", "/b", "", true), book("the publisher"), task]),
            ("third", vec![book("elsewhere")]),
        ]);
        let told: Vec<(&str, &str, String, String)> = found
            .iter()
            .map(|need| {
                let path = need.input.path.to_str().unwrap();
                (need.input.what.as_str(), path, need.input.obtain.clone(), need.arms.join(" "))
            })
            .collect();
        let told: Vec<_> =
            told.iter().map(|(a, b, c, d)| (*a, *b, c.as_str(), d.as_str())).collect();
        assert_eq!(
            told,
            [
                ("base", "/a", "", "first"),
                ("base", "/b", "", "second"),
                ("source 교과서", "/자료/교과서", "the publisher", "first second third"),
                ("task medsts-ko", "/자료/medsts.csv", "", "first second"),
            ]
        );
    }
}

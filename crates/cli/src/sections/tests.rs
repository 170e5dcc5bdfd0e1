use std::path::{Path, PathBuf};

use fs_err as fs;

use super::*;
use crate::commands::STARTER;

/// Composes `text` as if it lay in the working directory.
fn compose(text: &str) -> Result<Vec<Arm<Experiment>>, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("experiment.toml");
    fs::write(&path, text).unwrap();
    let file = ExperimentFile::read(&path, [], &[]).unwrap();
    let shown = format!("{}/", directory.path().display());
    file.arms(Experiment::compose).map_err(|faults| faults.to_string().replace(&shown, ""))
}

fn names(arms: &[Arm<Experiment>]) -> Vec<&str> {
    arms.iter().map(|arm| arm.name.as_str()).collect()
}

/// Every `.toml` under `directory`.
fn experiment_files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(experiment_files(&path)),
            false => found.push(path),
        }
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    found.sort();
    found
}

#[test]
fn every_experiment_that_comes_with_the_project_has_no_fault() {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let files = experiment_files(&configs);
    assert!(files.len() >= 4, "found {} files under configs/", files.len());
    for path in files {
        let file = ExperimentFile::read(&path, [], &[]).unwrap();
        if let Err(faults) = file.arms(Experiment::compose) {
            panic!("{faults}");
        }
    }
}

#[test]
fn the_starter_has_two_arms_and_no_fault() {
    let arms = compose(STARTER).unwrap();
    assert_eq!(names(&arms), ["bilingual", "control"]);
    let keeps = |arm: &Arm<Experiment>| arm.config.vocab.as_ref().unwrap().is_kept();
    assert_eq!(arms.iter().map(keeps).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn what_the_starter_leaves_commented_out_has_no_fault_either() {
    let uncommented = |line: &str| -> String {
        // A comment that is a line of TOML: a table's heading or a key.
        let code = line.strip_prefix("# ").filter(|rest| {
            rest.starts_with('[')
                || rest.split_once(" = ").is_some_and(|(key, _)| {
                    !key.is_empty()
                        && key.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
                })
        });
        code.unwrap_or(line).to_owned()
    };
    let text: Vec<String> = STARTER.lines().map(uncommented).collect();
    let arms = compose(&text.join("\n")).unwrap();
    let config = &arms.first().unwrap().config;
    assert_eq!(config.corpus.as_ref().unwrap().sources.len(), 3);
    assert!(config.pretrain.as_ref().unwrap().head.is_some());
    assert_eq!(config.eval.as_ref().unwrap().tasks.len(), 2);
}

#[test]
fn a_section_that_needs_another_says_so() {
    let head = "[experiment]\nname = \"x\"\noutput = \"o\"\nstore = \"s\"\n";
    let error = compose(&format!("{head}[vocab]\n[encode]\n[pretrain]\n[export]\n")).unwrap_err();
    insta::assert_snapshot!(error, @r"
    `experiment.toml` has 4 faults
      experiment.toml:5:1: `vocab` needs `[corpus]`, which is absent
      experiment.toml:6:1: `encode` needs `[corpus]`, which is absent
      experiment.toml:7:1: `pretrain` needs `[transplant]`, which is absent
      experiment.toml:8:1: `export` needs `[transplant]`, which is absent
    ");
}

#[test]
fn a_source_named_twice_and_a_base_kept_without_a_base_are_faults() {
    let source = "[[corpus.source]]\nname = \"교과서\"\npath = \"책\"\nlicence = \"MIT\"\ngenre = \"textbook\"\n";
    let text = format!(
        "[experiment]\nname = \"x\"\noutput = \"o\"\nstore = \"s\"\n{source}{source}\
         [vocab]\npolicy = \"keep\"\n[transplant]\nbase = \"random\"\n"
    );
    insta::assert_snapshot!(compose(&text).unwrap_err(), @r"
    `experiment.toml` has 2 faults
      experiment.toml:11:8: `corpus.source[1].name` is `교과서`, as another source's
      experiment.toml:16:10: `vocab.policy` is `keep`, expected `replace` where `transplant.base` is `random`
    ");
}

//! `bimed plan` as a user calls it: what it names, what it counts, and that it writes nothing.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test may use the standard file functions, and fails by panicking"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn bimed(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bimed"));
    command.args(arguments).current_dir(directory).env("RAYON_NUM_THREADS", "2");
    command.output().unwrap()
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Every path below `directory`, but for what is built and what git keeps.
fn listing(directory: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut pending = vec![directory.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                pending.push(path.clone());
            }
            found.insert(path);
        }
    }
    found
}

/// The plan of a config of the project, as text and as JSON, with no data at hand. Nothing may
/// change on disk.
fn plan_of(config: &str) -> (String, Value) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("연구");
    std::fs::create_dir(&root).unwrap();
    let project = project();
    let set = |key: &str, name: &str| format!("experiment.{key}={}", root.join(name).display());
    let mut sets = vec![set("output", "runs"), set("store", "store")];
    if config.starts_with("paper/") {
        sets.extend([set("paths.data", "자료"), set("paths.bases", "bases")]);
    }
    if config.starts_with("public/") {
        sets.extend([set("paths.data", "자료"), set("paths.base", "minilm")]);
    }
    let path = project.join("configs").join(config);
    let mut arguments = vec!["plan", path.to_str().unwrap()];
    arguments.extend(sets.iter().flat_map(|set| ["--set", set.as_str()]));
    let looked_at = || [root.clone(), project.join("configs"), project.join("data")];
    let before = looked_at().map(|folder| listing(&folder));
    let text = succeeds(&bimed(&root, &arguments));
    arguments.push("--json");
    let json = succeeds(&bimed(&root, &arguments));
    assert_eq!(before, looked_at().map(|folder| listing(&folder)), "{config} wrote something");
    (text, serde_json::from_str(&json).unwrap())
}

/// The missing inputs of a plan: what, and where it is to be had.
fn missing(plan: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let missing = plan["missing"].as_array().unwrap().iter();
    missing.map(|one| (text(&one["what"]), text(&one["obtain"]))).collect()
}

fn states(arm: &Value) -> Vec<(&str, &str)> {
    let stages = arm["stages"].as_array().unwrap().iter();
    stages.map(|one| (one["stage"].as_str().unwrap(), one["state"].as_str().unwrap())).collect()
}

#[test]
fn every_config_of_the_project_is_without_fault() {
    let arms = |config: &str| plan_of(config).1["arms"].as_array().unwrap().len();
    let found = ["quickstart.toml", "public/minilm-bilingual.toml", "paper/study.toml"].map(arms);
    assert_eq!(found, [1, 2, 3]);
    assert_eq!(arms("paper/ablations.toml"), 8);
    assert_eq!(arms("public/vocabulary-transplant.toml"), 5);
}

#[test]
fn the_quickstart_lacks_nothing_and_is_counted() {
    let (text, plan) = plan_of("quickstart.toml");
    assert!(text.contains("nothing is missing"), "{text}");
    assert_eq!(missing(&plan), []);
    let arm = &plan["arms"][0];
    assert!(states(arm).iter().all(|(_, state)| ["to_do", "not_asked_for"].contains(state)));
    let pretrain = &arm["pretrain"];
    assert_eq!(pretrain["steps"]["value"], 300);
    assert_eq!(pretrain["steps"]["certainty"], "exact");
    assert_eq!(pretrain["micro_batches_per_step"], 2);
    // Steps 0, 150 and 300.
    assert_eq!(pretrain["checkpoints"]["written"]["value"], 3);
    assert_eq!(pretrain["tokens"]["certainty"], "estimate");
    assert!(pretrain["hours"]["value"].as_f64().unwrap() > 0.0);
    let sources = arm["corpus"]["sources"].as_array().unwrap();
    assert!(sources.iter().all(|source| source["bytes"].as_u64().unwrap() > 1_000));
}

#[test]
fn every_licensed_file_of_the_study_is_named_with_where_it_is_to_be_had() {
    for (config, bases) in [("paper/study.toml", 3), ("paper/ablations.toml", 1)] {
        let (text, plan) = plan_of(config);
        let missing = missing(&plan);
        let count = |what: &str| missing.iter().filter(|(found, _)| found == what).count();
        assert_eq!(count("base"), bases, "{config}");
        for what in [
            "source textbooks-ko",
            "source articles-ko",
            "source textbooks-en",
            "source articles-en",
            "source mimic-discharge",
            "source mimic-radiology",
            "task medsts-ko",
            "task medsts-en",
        ] {
            assert_eq!(count(what), 1, "{config}: {what}");
        }
        // Lines are wrapped.
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for (what, obtain) in &missing {
            assert!(!obtain.is_empty(), "{config}: {what}");
            assert!(words.contains(what) && words.contains(obtain), "{config}: {what}: {text}");
        }
        assert!(text.contains("physionet.org/content/mimic-iv-note/2.2"), "{text}");
        assert!(text.contains("자료/textbooks-ko"), "{text}");
        // Paths are as long as they are.
        let is_long = |line: &&str| line.chars().count() > 100 && !line.contains("자료");
        assert_eq!(text.lines().find(is_long), None, "{config}");
    }
}

#[test]
fn a_quota_and_a_missing_base_still_give_figures_and_say_what_they_are() {
    let (text, plan) = plan_of("paper/study.toml");
    let arm = &plan["arms"][0];
    assert_eq!(arm["model"]["is_assumed"], true);
    assert_eq!(arm["model"]["parameters"]["value"], 121_240_010);
    assert_eq!(arm["model"]["parameters"]["certainty"], "estimate");
    assert_eq!(arm["corpus"]["words"]["value"], 180_000_000);
    assert_eq!(arm["corpus"]["words"]["certainty"], "at_least");
    assert_eq!(arm["pretrain"]["steps"]["certainty"], "at_least");
    assert_eq!(plan["totals"]["pretrainings"], 3);
    assert!(plan["refused"].as_str().unwrap().contains("bf16"));
    for (_, state) in states(arm).iter().filter(|(stage, _)| *stage != "head") {
        assert_eq!(*state, "cannot", "{text}");
    }
}

const SENTENCES: [&str; 4] = [
    "환자는 어제부터 심한 기침과 발열을 호소하였다",
    "chest CT상 both lung에 작은 nodule 소견이 관찰됨",
    "no evidence of pneumonia was seen on the follow up film",
    "신장 기능이 저하되어 조영제 사용을 피하기로 함",
];

/// A tiny experiment over a source and a task with Korean names. `@SOURCE@` and the like are where
/// keys may be put.
const EXPERIMENT: &str = r#"
[experiment]
name = "tiny"
seed = 3
output = "out"
store = "store"

[[corpus.source]]
name = "교과서"
path = "교과서.jsonl"
format = "jsonl"
text = ["text"]
licence = "MIT"
@SOURCE@
[corpus.split]
valid_fraction = 0.2

[vocab]
size = 300
seed_hangul = false
min_groups = 1

[encode]

[transplant]
base = "random"
@TRANSPLANT@
[transplant.model]
hidden_size = 32
num_hidden_layers = 1
num_attention_heads = 2
intermediate_size = 64
max_position_embeddings = 64

[pretrain]
length = { epochs = 2.0 }
sequence_length = 64
tokens_per_step = 256
micro_batch_tokens = 128
checkpoint_every_steps = 2
log_every_steps = 2
validate_every_steps = 50
validation_chars = 500

[export]

[eval]
seeds = [1]
bootstrap = { resamples = 100 }

[[eval.task]]
name = "짝"
protocol = "sts.embed"
language = "ko"
path = "pairs.tsv"
@TASK@
"#;

fn write_experiment(directory: &Path) {
    let lines: Vec<String> = (0..60)
        .map(|index| {
            let sentences: Vec<String> = (0..2 + index % 4)
                .map(|at| format!("{} {index}{at}.", SENTENCES[(index + at) % SENTENCES.len()]))
                .collect();
            format!("{{\"text\": \"{}\"}}\n", sentences.join(" "))
        })
        .collect();
    std::fs::write(directory.join("교과서.jsonl"), lines.concat()).unwrap();
    let mut pairs = String::from("split\tscore\ts1\ts2\n");
    for index in 0..12 {
        let (a, b) = (SENTENCES[index % 4], SENTENCES[index / 3 % 4]);
        pairs += &format!("dev\t{}\t{a}\t{b}\n", if a == b { 5 } else { index % 4 });
    }
    std::fs::write(directory.join("pairs.tsv"), pairs).unwrap();
    write_config(directory, "", "");
}

/// The experiment, with `key` in its source, its transplant and its task, and `tail` behind it.
fn write_config(directory: &Path, key: &str, tail: &str) {
    let places = ["@SOURCE@", "@TRANSPLANT@", "@TASK@"];
    let text = places.iter().fold(EXPERIMENT.to_owned(), |text, place| text.replace(place, key));
    std::fs::write(directory.join("tiny.toml"), text + tail).unwrap();
}

fn plan(directory: &Path) -> Value {
    serde_json::from_str(&succeeds(&bimed(directory, &["plan", "tiny.toml", "--json"]))).unwrap()
}

#[test]
fn a_plan_foretells_the_run_and_then_finds_it_whatever_obtain_says() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    write_experiment(directory);
    let before = plan(directory);
    let to_do = |stage: &&(&str, &str)| stage.1 == "to_do";
    assert_eq!(states(&before["arms"][0]).iter().filter(to_do).count(), 7);
    succeeds(&bimed(directory, &["run", "tiny.toml", "--quiet"]));
    write_config(directory, "obtain = \"출판사에 문의\"\n", "");
    let after = plan(directory);
    let arm = &after["arms"][0];
    // A start from nothing needs neither a head nor vectors.
    let asked_for = |(stage, _): &&(&str, &str)| !["head", "vectors"].contains(stage);
    for (stage, state) in states(arm).iter().filter(asked_for) {
        assert_eq!(*state, "up_to_date", "{stage}");
    }
    let pretrain = &arm["pretrain"];
    for key in ["steps", "tokens_per_epoch", "fill"] {
        assert_eq!(pretrain[key]["certainty"], "exact", "{key}");
    }
    // What was counted beforehand is what the run did.
    let dir = arm["stages"].as_array().unwrap().iter().find(|one| one["stage"] == "pretrain");
    let dir = directory.join(dir.unwrap()["path"].as_str().unwrap());
    let manifest = std::fs::read_to_string(dir.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(pretrain["steps"]["value"], manifest["summary"]["steps"]);
    let written = pretrain["checkpoints"]["written"]["value"].as_u64().unwrap();
    assert_eq!(written, 1 + manifest["summary"]["steps"].as_u64().unwrap().div_ceil(2));
    assert_eq!(pretrain["steps_left"]["value"], 0);
    assert_eq!(pretrain["speed"]["is_measured"], true);
    assert_eq!(after["totals"]["pretrainings"], 0);
    let words = &arm["corpus"]["sources"][0]["words"];
    assert_eq!(words["certainty"], "exact");
    // An estimate from bytes is of the right order.
    let guess = before["arms"][0]["corpus"]["words"]["value"].as_f64().unwrap();
    let counted = words["value"].as_f64().unwrap();
    assert!((0.3..3.0).contains(&(guess / counted)), "{guess} for {counted}");

    // As a kill would leave it.
    std::fs::rename(&dir, dir.with_extension("partial")).unwrap();
    let killed = plan(directory);
    let stages = killed["arms"][0]["stages"].as_array().unwrap();
    let stage = stages.iter().find(|one| one["stage"] == "pretrain").unwrap();
    assert_eq!(stage["state"], "resumes");
    assert_eq!(stage["step"], manifest["summary"]["steps"]);
    assert_eq!(stage["steps"], manifest["summary"]["steps"]);
    let text = succeeds(&bimed(directory, &["plan", "tiny.toml"]));
    assert!(text.contains("resumes at step"), "{text}");
    let fresh = succeeds(&bimed(directory, &["plan", "tiny.toml", "--fresh"]));
    assert!(!fresh.contains("up to date") && !fresh.contains("resumes"), "{fresh}");
}

#[test]
fn arms_share_what_has_the_same_key_and_a_missing_file_is_told_once() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    write_experiment(directory);
    let arms = "\n[[arm]]\nname = \"first\"\n[[arm]]\nname = \"second\"\n\
                set = { \"pretrain.mask_prob\" = 0.3 }\n";
    write_config(directory, "obtain = \"출판사에 문의\"\n", arms);
    let found = plan(directory);
    let shared = |stage: &str| {
        let stages = found["arms"][1]["stages"].as_array().unwrap();
        stages.iter().find(|one| one["stage"] == stage).unwrap()["shared_with"].clone()
    };
    assert_eq!([shared("corpus"), shared("encode"), shared("transplant")], ["first"; 3]);
    assert_eq!(shared("pretrain"), Value::Null);
    assert_eq!(found["totals"]["pretrainings"], 2);

    std::fs::remove_file(directory.join("교과서.jsonl")).unwrap();
    let before = listing(directory);
    let text = succeeds(&bimed(directory, &["plan", "tiny.toml"]));
    assert_eq!(text.matches("source 교과서").count(), 1, "{text}");
    assert_eq!(text.matches("from: 출판사에 문의").count(), 1, "{text}");
    let refused = bimed(directory, &["run", "tiny.toml"]);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{told}");
    assert!(told.contains("from: 출판사에 문의"), "{told}");
    assert_eq!(before, listing(directory));
}

#[test]
fn a_fault_of_the_file_ends_with_two() {
    let directory = tempfile::tempdir().unwrap();
    write_experiment(directory.path());
    write_config(directory.path(), "obtain = \" \"\n", "");
    let before = listing(directory.path());
    let output = bimed(directory.path(), &["plan", "tiny.toml"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    for key in ["corpus.source[0].obtain", "transplant.obtain", "eval.task[0].obtain"] {
        assert!(told.contains(key), "{told}");
    }
    assert_eq!(before, listing(directory.path()));
}

#[test]
fn a_base_that_cannot_be_read_is_part_of_the_answer() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    write_experiment(directory);
    let base = directory.join("모형");
    std::fs::create_dir(&base).unwrap();
    let config = serde_json::json!({
        "vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 64, "max_position_embeddings": 64, "type_vocab_size": 2,
    });
    std::fs::write(base.join("config.json"), config.to_string()).unwrap();
    let text = std::fs::read_to_string(directory.join("tiny.toml")).unwrap();
    let (before, rest) = text.split_once("[transplant.model]").unwrap();
    let rest = rest.split_once("[pretrain]").unwrap().1;
    let text = format!("{before}[pretrain]{rest}").replace("\"random\"", "\"모형\"");
    std::fs::write(directory.join("tiny.toml"), text).unwrap();
    let found = plan(directory);
    let arm = &found["arms"][0];
    let states = states(arm);
    assert!(states.contains(&("corpus", "to_do")), "{states:?}");
    for stage in ["transplant", "pretrain", "export", "eval"] {
        assert!(states.contains(&(stage, "fails")), "{states:?}");
    }
    assert_eq!(found["missing"], serde_json::json!([]));
    // Its config is there, so its shape is known.
    assert_eq!(arm["model"]["is_assumed"], false);
    let shown = succeeds(&bimed(directory, &["plan", "tiny.toml"]));
    assert!(shown.contains("would fail") && shown.contains("model.safetensors"), "{shown}");
}

//! Documents in, model out, through the binary: what a user's first run does, a second one, a killed
//! one, and one with faults.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test may use the standard file functions, and fails by panicking"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Sentences of the documents; none may be seen outside corpus and vocabulary.
const SENTENCES: [&str; 6] = [
    "환자는 어제부터 심한 기침과 발열을 호소하였다",
    "chest CT상 both lung에 작은 nodule 소견이 관찰됨",
    "no evidence of pneumonia was seen on the follow up film",
    "혈압은 안정적이어서 약물 용량을 유지하기로 하였다",
    "the patient was discharged home in a stable condition",
    "신장 기능이 저하되어 조영제 사용을 피하기로 함",
];

fn bimed(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bimed"));
    command.args(arguments).current_dir(directory).env("RAYON_NUM_THREADS", "2");
    command
}

fn succeeds(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let shown = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    shown
}

/// Two sources, a task, and an experiment of a tiny model.
fn write_experiment(directory: &Path, steps: u32) {
    let note = |index: usize| {
        let sentence = |at: usize| SENTENCES[(index + at * at) % SENTENCES.len()];
        let text: Vec<String> =
            (0..3 + index % 5).map(|at| format!("{} {index}{at}.", sentence(at))).collect();
        text.join(" ")
    };
    let lines: Vec<String> = (0..60)
        .map(|index| format!("{{\"id\": {index}, \"text\": \"{}\"}}\n", note(index)))
        .collect();
    std::fs::write(directory.join("notes.jsonl"), lines.concat()).unwrap();
    std::fs::create_dir(directory.join("books")).unwrap();
    for index in 60..80 {
        std::fs::write(directory.join(format!("books/{index}.txt")), note(index)).unwrap();
    }
    let mut pairs = String::from("id\tsplit\tscore\ts1\ts2\n");
    for index in 0..24 {
        let (a, b) = (SENTENCES[index % 6], SENTENCES[(index * 5 + index / 6) % 6]);
        let score = if a == b { 5.0 } else { f64::from(index as u32 % 4) / 2.0 };
        let split = ["train", "train", "dev", "test"][index % 4];
        pairs += &format!("{index}\t{split}\t{score}\t{a}\t{b}\n");
    }
    std::fs::write(directory.join("pairs.tsv"), pairs).unwrap();
    std::fs::write(directory.join("tiny.toml"), experiment(steps)).unwrap();
}

fn experiment(steps: u32) -> String {
    format!(
        r#"
[experiment]
name = "tiny"
seed = 3
output = "out"
store = "store"

[[corpus.source]]
name = "notes"
path = "notes.jsonl"
format = "jsonl"
text = ["text"]
id = "id"
licence = "MIT"
domain = "medical"
genre = "note"

[[corpus.source]]
name = "books"
path = "books"
format = "txt"
licence = "MIT"
domain = "medical"
genre = "textbook"

[corpus.split]
valid_fraction = 0.2

[vocab]
policy = "replace"
size = 320
seed_hangul = false
min_groups = 1

[encode]

[transplant]
base = "random"

[transplant.model]
hidden_size = 32
num_hidden_layers = 1
num_attention_heads = 2
intermediate_size = 64
max_position_embeddings = 64

[pretrain]
length = {{ steps = {steps} }}
sequence_length = 64
tokens_per_step = 256
micro_batch_tokens = 128
checkpoint_every_steps = 5
log_every_steps = 5
validate_every_steps = 50
validation_chars = 500

[export]

[eval]
seeds = [1]
bootstrap = {{ resamples = 100 }}

[[eval.task]]
name = "pairs"
protocol = "sts.pair_reg"
language = "ko"
path = "pairs.tsv"
pair_reg = {{ learning_rates = [5e-4], batch_size = 4, epochs = 1, max_length = 64 }}
"#
    )
}

/// Every file below `directory` and its content.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![directory.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                found.insert(path.clone(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Whether a training checkpoint is somewhere below `directory`, while files come and go there.
fn has_checkpoint(directory: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else { return false };
    let folders = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
    let is_checkpoint = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("step-") && name != "step-0")
    };
    folders.into_iter().any(|path| is_checkpoint(&path) || has_checkpoint(&path))
}

fn model(directory: &Path) -> Vec<u8> {
    let exported = files(&directory.join("out"));
    let is_model = |path: &&PathBuf| path.ends_with("model/model.safetensors");
    let path = exported.keys().find(is_model).expect("an exported model");
    exported[path].clone()
}

#[test]
fn a_run_makes_a_model_and_a_second_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    write_experiment(directory.path(), 10);
    let run = || bimed(directory.path(), &["run", "tiny.toml"]).output().unwrap();
    let first = succeeds(&run());
    let written = files(directory.path());
    let second = succeeds(&run());
    assert!(second.contains("up to date"), "{second}");
    let after = files(directory.path());
    assert_eq!(written.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (path, bytes) in &written {
        assert!(after[path] == *bytes, "{} changed", path.display());
    }
    let exported: Vec<String> =
        written.keys().map(|path| path.to_string_lossy().replace('\\', "/")).collect();
    for name in [
        "model/config.json",
        "model/vocab.txt",
        "model/tokenizer.json",
        "report.html",
        "results.md",
    ] {
        assert!(exported.iter().any(|path| path.ends_with(name)), "no {name}");
    }
    for sentence in SENTENCES {
        assert!(!first.contains(sentence) && !second.contains(sentence), "text on the terminal");
        for (path, bytes) in &written {
            // Units are the corpus builder's, as private as its shards, and hardly compressed.
            let holds_text = ["txt", "tsv", "unit"];
            let shown =
                path.extension().is_some_and(|kind| holds_text.iter().all(|one| kind != *one));
            let is_input = path.ends_with("notes.jsonl");
            let text = String::from_utf8_lossy(bytes);
            assert!(!shown || is_input || !text.contains(sentence), "text in {}", path.display());
        }
    }
}

#[test]
fn what_a_model_answered_is_in_its_export_and_comes_again_when_it_was_lost() {
    let directory = tempfile::tempdir().unwrap();
    write_experiment(directory.path(), 2);
    let run = |arguments: &[&str]| succeeds(&bimed(directory.path(), arguments).output().unwrap());
    run(&["export", "tiny.toml"]);
    let model = directory.path().join("out/tiny/main/model");
    let answers = model.join("eval_results.json");
    assert!(!answers.exists(), "nothing is evaluated yet");
    run(&["run", "tiny.toml"]);
    let written = files(&model);
    let results = std::fs::read(directory.path().join("out/tiny/main/eval/results.json")).unwrap();
    let json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
    assert_eq!(json(&written[&answers]), json(&results));
    let rows = json(&results)["rows"].as_array().unwrap().clone();
    let is_figure = |row: &&serde_json::Value| row["model"] == "main" && row["value"].is_number();
    let figures: Vec<&serde_json::Value> = rows.iter().filter(is_figure).collect();
    assert!(!figures.is_empty());
    let card = std::fs::read_to_string(model.join("README.md")).unwrap();
    let head = card.split("\n---\n").next().unwrap();
    assert_eq!(head.matches("    metrics:\n    - type: ").count(), figures.len(), "{head}");
    for row in figures {
        let value = format!("value: {}", row["value"]);
        assert!(head.lines().any(|line| line.trim() == value), "{row} is not in {head}");
    }
    run(&["inspect", "--verify", "out/tiny/main/model"]);
    // Cut off between the files: an export without what its manifest names is made again, whole.
    std::fs::remove_file(&answers).unwrap();
    run(&["run", "tiny.toml"]);
    assert!(files(&model) == written, "the export is another than before");
}

#[cfg(unix)]
#[test]
fn a_killed_run_ends_in_the_model_of_one_that_was_not() {
    let straight = tempfile::tempdir().unwrap();
    let killed = tempfile::tempdir().unwrap();
    for directory in [straight.path(), killed.path()] {
        write_experiment(directory, 200);
    }
    succeeds(&bimed(straight.path(), &["export", "tiny.toml"]).output().unwrap());
    let mut child = bimed(killed.path(), &["export", "tiny.toml"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !has_checkpoint(&killed.path().join("store")) && begun.elapsed() < Duration::from_secs(60)
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap(); // SIGKILL
    assert!(!child.wait().unwrap().success(), "the run ended before it was killed");
    let resumed = succeeds(&bimed(killed.path(), &["export", "tiny.toml"]).output().unwrap());
    assert!(resumed.contains("resumed at step"), "{resumed}");
    assert!(model(straight.path()) == model(killed.path()), "the models differ");
}

#[test]
fn faults_are_told_together_and_nothing_is_written() {
    let directory = tempfile::tempdir().unwrap();
    write_experiment(directory.path(), 10);
    let faulty = experiment(10)
        .replace("sequence_length = 64", "sequence_lenght = 64")
        .replace("size = 320", "size = \"many\"")
        .replace("valid_fraction = 0.2", "valid_fraction = 1.5");
    std::fs::write(directory.path().join("tiny.toml"), faulty).unwrap();
    let before = files(directory.path());
    let output = bimed(directory.path(), &["run", "tiny.toml"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    for fault in ["sequence_lenght", "vocab.size", "valid_fraction", "tiny.toml:"] {
        assert!(told.contains(fault), "`{fault}` is not in: {told}");
    }
    assert_eq!(before, files(directory.path()));
}

#[test]
fn a_source_that_is_not_there_is_named_before_anything_is_written() {
    let directory = tempfile::tempdir().unwrap();
    write_experiment(directory.path(), 10);
    std::fs::remove_dir_all(directory.path().join("books")).unwrap();
    let before = files(directory.path());
    let output = bimed(directory.path(), &["run", "tiny.toml"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("books"), "{told}");
    assert_eq!(before, files(directory.path()));
}

/// The one directory of a stage in the store.
fn artifact(directory: &Path, stage: &str) -> PathBuf {
    let entries = std::fs::read_dir(directory.join("store").join(stage)).unwrap();
    let folders = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let [found] = &folders.collect::<Vec<_>>()[..] else { panic!("one {stage}") };
    found.clone()
}

#[test]
fn an_extended_base_keeps_its_rows_and_is_compared() {
    let directory = tempfile::tempdir().unwrap();
    write_experiment(directory.path(), 5);
    succeeds(&bimed(directory.path(), &["transplant", "tiny.toml"]).output().unwrap());
    let base = directory.path().join("base");
    std::fs::rename(artifact(directory.path(), "transplant"), &base).unwrap();
    std::fs::remove_file(base.join("manifest.json")).unwrap();
    std::fs::write(directory.path().join("words.txt"), "흉막삼출\npleural effusion\n").unwrap();
    let experiment = experiment(5);
    let (head, _) = experiment.split_once("[vocab]").unwrap();
    let extended = head.to_owned()
        + "[vocab]\npolicy = \"extend\"\nwords = \"words.txt\"\n\
           [vocab.report]\nterms = [\"words.txt\"]\n\
           [[vocab.report.compare]]\nname = \"다른 것\"\npath = \"base\"\n\
           [transplant]\nbase = \"base\"\ninit = [\"fvt\", \"draw\"]\n";
    std::fs::write(directory.path().join("extended.toml"), extended).unwrap();
    succeeds(&bimed(directory.path(), &["plan", "extended.toml"]).output().unwrap());
    let made =
        succeeds(&bimed(directory.path(), &["transplant", "extended.toml"]).output().unwrap());
    assert!(made.contains("of the base"), "{made}");
    let rows = |model: &Path| {
        let weights = bimed_checkpoint::load_model_dir(model).unwrap().weights;
        weights.get("bert.embeddings.word_embeddings.weight").unwrap().clone()
    };
    let (old, new) = (rows(&base), rows(&artifact(directory.path(), "transplant")));
    assert_eq!(new.shape, [old.shape[0] + 3, old.shape[1]]);
    let is_kept = (0..old.shape[0]).all(|row| {
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        bits(old.row(row)) == bits(new.row(row))
    });
    assert!(is_kept);
    let tokens = |path: PathBuf| std::fs::read_to_string(path.join("vocab.txt")).unwrap();
    let appended = tokens(base.clone()) + "흉막삼출\npleural\neffusion\n";
    let vocabularies = std::fs::read_dir(directory.path().join("store/vocab")).unwrap();
    let made = vocabularies.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    assert!(made.map(tokens).any(|text| text == appended));
    let report = artifact(directory.path(), "vocab-report").join("report.md");
    let report = std::fs::read_to_string(report).unwrap();
    for row in [
        "| new | words | 2 | 50.0% |",
        "| base | words | 2 | 0.0% |",
        "| 다른 것 | words | 2 | 0.0% |",
    ] {
        assert!(report.contains(row), "{row} is not in: {report}");
    }
}

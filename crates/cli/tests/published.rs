//! Models as others publish them, through the binary: a legacy pickle, a bare encoder in a zip, a
//! TensorFlow checkpoint. They are inspected, merged, transplanted, continued and exported.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test may use the standard file functions, and fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use bimed_checkpoint::{Part, load_model_dir};
use serde_json::Value;

const SENTENCES: [&str; 5] = [
    "환자는 어제부터 심한 기침과 발열을 호소하였다",
    "chest CT상 both lung에 작은 폐렴 소견 보임",
    "no evidence of pneumonia was seen on the follow up film",
    "혈압은 안정적이어서 약물 용량을 유지하기로 하였다",
    "the patient was discharged home in a stable condition",
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../checkpoint/fixtures").join(name)
}

/// Both outputs of a call that must end with `code`.
fn bimed(directory: &Path, arguments: &[&str], code: i32) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bimed"));
    let output = command.args(arguments).current_dir(directory).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let shown = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {shown}");
    for sentence in SENTENCES {
        assert!(!shown.contains(sentence), "{arguments:?} shows text");
    }
    shown
}

fn write_documents(directory: &Path) {
    let note = |index: usize| {
        let texts = (0..4 + index % 3).map(|at| SENTENCES[(index + at * at) % SENTENCES.len()]);
        texts.map(|text| format!("{text} {index}. ")).collect::<String>()
    };
    let lines: Vec<String> = (0..50)
        .map(|index| format!("{{\"id\": {index}, \"text\": \"{}\"}}\n", note(index)))
        .collect();
    std::fs::write(directory.join("notes.jsonl"), lines.concat()).unwrap();
}

/// An experiment that continues the form `base` with the vocabulary policy `policy`.
fn experiment(base: &str, policy: &str, more: &str) -> String {
    let base = fixture(base).display().to_string();
    // Without a head for masked words one is trained first.
    let head = if base.ends_with("zip") { "\n[pretrain.head]\nmax_steps = 4\n" } else { "" };
    let vocab = match policy {
        "keep" => "policy = \"keep\"".to_owned(),
        _ => format!("policy = \"{policy}\"\nsize = 200\nseed_hangul = false\nmin_groups = 1"),
    };
    format!(
        r#"
[experiment]
name = "published"
seed = 3
output = "out"
store = "store"

[[corpus.source]]
name = "notes"
path = "notes.jsonl"
format = "jsonl"
text = ["text"]
id = "id"
licence = "the hospital's"
access_tier = "private"
domain = "medical"
genre = "note"

[vocab]
{vocab}

[encode]

[transplant]
base = '{base}'

[pretrain]
length = {{ steps = 4 }}
sequence_length = 32
tokens_per_step = 128
micro_batch_tokens = 64
validate_every_steps = 50
validation_chars = 200
{head}
[export]
{more}
"#
    )
}

const SIGNED: &str = "sign_off = \"the review board, 2026-01-01\"";

/// Runs the experiment up to its export, and gives the exported model.
fn exported(base: &str, policy: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    write_documents(directory.path());
    let file = experiment(base, policy, &format!("{SIGNED}\nnormalizer = \"nfc\""));
    std::fs::write(directory.path().join("e.toml"), file).unwrap();
    let shown = bimed(directory.path(), &["export", "e.toml"], 0);
    assert!(shown.contains("hf upload"), "{shown}");
    let arm = std::fs::read_dir(directory.path().join("out/published")).unwrap();
    let model = arm.map(|entry| entry.unwrap().path().join("model")).find(|path| path.is_dir());
    (directory, model.unwrap())
}

#[test]
fn every_published_form_is_shown_for_what_it_is() {
    let directory = tempfile::tempdir().unwrap();
    for (name, format, heads, unused) in [
        ("legacy", "pytorch", [true, true], 1),
        ("zip", "pytorch", [false, false], 1),
        ("sharded", "pytorch", [true, true], 0),
        ("tensorflow", "tensorflow", [true, true], 49),
        ("expected", "safetensors", [true, true], 0),
    ] {
        let path = fixture(name);
        let shown = bimed(directory.path(), &["inspect", path.to_str().unwrap(), "--json"], 0);
        let value: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(
            (&value["kind"], &value["model"]["weights"]["format"]),
            (&"model".into(), &format.into()),
            "{name}"
        );
        let found = &value["model"]["heads"];
        assert_eq!([found["MLM"].as_bool(), found["NSP"].as_bool()], heads.map(Some), "{name}");
        let count = value["model"]["accounting"]["unused"].as_array().unwrap().len();
        assert_eq!(count, unused, "{name}");
        let parameters = if heads[0] { 1710 } else { 1584 };
        assert_eq!(value["model"]["num_parameters"], parameters, "{name}");
        // Nothing in the older forms says that case is kept, but the vocabulary.
        assert_eq!(value["model"]["vocabulary"]["tokenizer"]["lowercase"], false, "{name}");
    }
    let index = fixture("tensorflow").join("model.ckpt-7.index");
    let shown = bimed(directory.path(), &["inspect", index.to_str().unwrap(), "--tensors"], 0);
    assert!(
        shown.contains("TensorFlow 1") && shown.contains("bert/pooler/dense/kernel"),
        "{shown}"
    );
}

#[test]
fn a_tensorflow_base_and_a_legacy_base_are_transplanted_continued_and_exported() {
    for base in ["tensorflow", "legacy"] {
        let (_directory, model) = exported(base, "replace");
        let found = load_model_dir(&model).unwrap();
        assert!(found.accounting.missing.is_empty(), "{base}: {:?}", found.accounting.missing);
        assert_eq!(found.accounting.applied.len(), 46);
        assert_eq!(found.config["max_position_embeddings"], 32);
        let config = std::fs::read_to_string(model.join("tokenizer_config.json")).unwrap();
        let config: Value = serde_json::from_str(&config).unwrap();
        assert_eq!(config["tokenizer_class"], "PreTrainedTokenizerFast");
        assert_eq!(config["model_max_length"], 32);
        for flag in ["do_lower_case", "strip_accents"] {
            assert_eq!(config[flag], false, "{base}: {flag}");
        }
        let licence = std::fs::read_to_string(model.join("LICENSE")).unwrap();
        assert!(licence.contains("the review board"), "{licence}");
        assert!(model.join("training_manifest.json").is_file());
    }
}

#[test]
fn a_bare_encoder_is_continued_and_exported_with_every_head() {
    let (_directory, model) = exported("zip", "keep");
    let found = load_model_dir(&model).unwrap();
    for part in [Part::Pooler, Part::MlmHead, Part::NspHead] {
        assert!(found.accounting.has(part), "{part:?}");
    }
    let vocab = |dir: &Path| std::fs::read_to_string(dir.join("vocab.txt")).unwrap();
    assert_eq!(vocab(&model), vocab(&fixture("zip")));
    let tokenizer = std::fs::read_to_string(model.join("tokenizer.json")).unwrap();
    assert!(tokenizer.contains("\"NFC\""), "the option adds NFC to a kept tokenizer");
}

#[test]
fn private_sources_need_a_sign_off_before_anything_is_done() {
    let directory = tempfile::tempdir().unwrap();
    write_documents(directory.path());
    std::fs::write(directory.path().join("e.toml"), experiment("legacy", "keep", "")).unwrap();
    for command in ["run", "export"] {
        let shown = bimed(directory.path(), &[command, "e.toml"], 2);
        assert!(shown.contains("`notes`") && shown.contains("export.sign_off"), "{shown}");
    }
    assert!(!directory.path().join("out").exists());
    // What is not handed on needs no leave.
    bimed(directory.path(), &["transplant", "e.toml"], 0);
}

#[test]
fn what_was_made_from_private_sources_taints_what_is_made_from_it() {
    let (directory, model) = exported("legacy", "keep");
    let at = |path: &str| directory.path().join(path);
    let run = std::fs::read_dir(at("store/pretrain")).unwrap();
    let run = run.map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap();
    let checkpoint = std::fs::read_dir(run.join("checkpoints")).unwrap().next().unwrap();
    let corpus = std::fs::read_dir(at("store/corpus")).unwrap();
    let corpus = corpus.map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap();
    let shown = bimed(directory.path(), &["inspect", corpus.to_str().unwrap(), "--lineage"], 0);
    assert!(shown.contains("private"), "{shown}");
    // The text is public here; the base is not.
    std::fs::rename(at("notes.jsonl"), at("open.jsonl")).unwrap();
    for base in [model, checkpoint.unwrap().path()] {
        let file = experiment("legacy", "keep", "")
            .replace(&fixture("legacy").display().to_string(), &base.display().to_string())
            .replace("name = \"notes\"", "name = \"open\"")
            .replace("notes.jsonl", "open.jsonl")
            .replace("access_tier = \"private\"", "access_tier = \"public\"");
        std::fs::write(at("e.toml"), file).unwrap();
        let shown = bimed(directory.path(), &["export", "e.toml"], 2);
        assert!(shown.contains("`notes`") && shown.contains("export.sign_off"), "{shown}");
    }
}

#[test]
fn merging_gives_the_ends_bit_for_bit_and_refuses_other_vocabularies() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| fixture(name).display().to_string();
    let (legacy, whole) = (at("legacy"), at("expected"));
    let merge = |weights: &str, out: &str, code: i32| {
        bimed(
            directory.path(),
            &["merge", &legacy, &whole, "--weights", weights, "--out", out],
            code,
        )
    };
    let expected = load_model_dir(&fixture("expected")).unwrap().weights;
    for (weights, out) in [("0,1", "b"), ("1,0", "a"), ("0.25,0.75", "between")] {
        merge(weights, out, 0);
        assert_eq!(load_model_dir(&directory.path().join(out)).unwrap().weights, expected);
    }
    let shown = bimed(directory.path(), &["inspect", "between", "--verify"], 0);
    assert!(shown.contains("merge"), "{shown}");
    assert!(merge("0.5,0.6", "c", 1).contains("sum to `1.1"));
    assert!(merge("0.5", "c", 2).contains("found 1 weights, expected 2"));
    assert!(merge("0,1", "b", 2).contains("is there already"));
    let other = directory.path().join("a/vocab.txt");
    let changed = std::fs::read_to_string(&other).unwrap().replace("폐렴", "감기");
    std::fs::write(&other, changed).unwrap();
    let shown = bimed(directory.path(), &["merge", "a", "b", "--out", "d"], 1);
    assert!(shown.contains("their vocabularies differ"), "{shown}");
    let left: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("partial")), "{left:?}");
}

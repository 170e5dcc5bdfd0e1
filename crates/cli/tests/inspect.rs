//! `bimed inspect` and `bimed compare` through the binary: foreign models, damaged files, and all that
//! a run leaves.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test may use the standard file functions, and fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Sentences of the documents and of the texts; none may be shown.
const SENTENCES: [&str; 5] = [
    "환자는 어제부터 심한 기침과 발열을 호소하였다",
    "chest CT상 both lung에 작은 nodule 소견이 관찰됨",
    "no evidence of pneumonia was seen on the follow up film",
    "혈압은 안정적이어서 약물 용량을 유지하기로 하였다",
    "the patient was discharged home in a stable condition",
];

fn bimed(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bimed"));
    let command = command.args(arguments).current_dir(directory).env("RAYON_NUM_THREADS", "2");
    let output = command.output().unwrap();
    let shown = told(&output);
    for sentence in SENTENCES {
        let words: Vec<&str> = sentence.split(' ').collect();
        for part in words.windows(3) {
            assert!(!shown.contains(&part.join(" ")), "{arguments:?} shows text: {shown}");
        }
    }
    output
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Standard output of a call that must succeed.
fn succeeds(directory: &Path, arguments: &[&str]) -> String {
    let output = bimed(directory, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", told(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn json(directory: &Path, arguments: &[&str]) -> Value {
    let text = succeeds(directory, &[arguments, &["--json"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
}

/// Standard error of a call that must end with `code`.
fn fails(directory: &Path, arguments: &[&str], code: i32) -> String {
    let output = bimed(directory, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", told(&output));
    assert!(output.stdout.is_empty(), "{arguments:?}: {}", told(&output));
    String::from_utf8(output.stderr).unwrap()
}

/// A vocabulary of `rows` rows: Korean, English, mixed.
fn vocabulary(rows: usize) -> String {
    let mut tokens: Vec<String> = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        .into_iter()
        .chain(["폐렴", "##상", "CT", "lung", "##ing", "3", "肺", "."])
        .map(str::to_owned)
        .collect();
    tokens.extend((tokens.len()..rows).map(|row| format!("##토큰{row}")));
    tokens.join("\n") + "\n"
}

/// Somebody else's model: the fixture of `bimed-bert` with a vocabulary of `rows` rows.
fn foreign_model(directory: &Path, rows: usize) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bert/fixtures/model");
    std::fs::create_dir_all(directory).unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(fixture.join(name), directory.join(name)).unwrap();
    }
    std::fs::write(directory.join("vocab.txt"), vocabulary(rows)).unwrap();
    let config = r#"{"tokenizer_class": "BertTokenizer", "do_lower_case": false}"#;
    std::fs::write(directory.join("tokenizer_config.json"), config).unwrap();
}

#[test]
fn a_model_of_somebody_else_is_described_by_its_files() {
    let root = tempfile::tempdir().unwrap();
    foreign_model(&root.path().join("모델"), 120);
    insta::assert_snapshot!(succeeds(root.path(), &["inspect", "모델"]), @r"
    모델: a model from elsewhere
      weights         safetensors, `model.safetensors`, 104.2 KiB, tensors: 46 F32
      config          bert, BertForPreTraining, 2 layers, hidden 32, 4 heads, intermediate 64, 64 positions, vocabulary 120, gelu
      parameters      25,466: embeddings 6,016, encoder layers 17,088, pooler 1,056, MLM head 1,240, NSP head 66
      heads           pooler, MLM, NSP; missing: classifier
      decoder         tied to the word embeddings
      tensors         46 applied, 0 missing, 0 unused
      vocabulary      120 rows, 108 Hangul, 3 Latin; as many as the embedding
      special tokens  [PAD] 0, [UNK] 2, [CLS] 3, [SEP] 4, [MASK] 5
      tokenizer       cased
    ");
    let value = json(root.path(), &["inspect", "모델/config.json"]);
    assert_eq!(
        (&value["kind"], &value["model"]["vocabulary_fits"]),
        (&"model".into(), &true.into())
    );
    assert_eq!(value["model"]["num_parameters"], 25_466);
    let listed = succeeds(root.path(), &["inspect", "모델/model.safetensors", "--tensors"]);
    let query = "bert.encoder.layer.1.attention.self.query.weight ";
    let line = listed.lines().find(|line| line.starts_with(query)).unwrap();
    assert!(line.contains("F32") && line.ends_with("[32, 32]"), "{line}");
    let told = fails(root.path(), &["inspect", "모델", "--verify"], 2);
    assert!(told.contains("no hashes were recorded of `모델`"), "{told}");
    let lineage = succeeds(root.path(), &["inspect", "모델", "--lineage"]);
    assert!(lineage.contains("not recorded"), "{lineage}");
}

#[test]
fn a_vocabulary_that_does_not_fit_its_model_is_told() {
    let root = tempfile::tempdir().unwrap();
    foreign_model(&root.path().join("more"), 130);
    let shown = succeeds(root.path(), &["inspect", "more"]);
    assert!(shown.contains("DISAGREES with the embedding, which has only 120"), "{shown}");
    foreign_model(&root.path().join("less"), 90);
    let shown = succeeds(root.path(), &["inspect", "less"]);
    assert!(shown.contains("the embedding has 30 more, which no token uses"), "{shown}");
}

#[test]
fn a_model_of_another_kind_is_described_and_said_not_to_load() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("roberta");
    foreign_model(&dir, 120);
    let config = std::fs::read_to_string(dir.join("config.json")).unwrap();
    let config = config.replace("\"model_type\": \"bert\"", "\"model_type\": \"roberta\"");
    std::fs::write(dir.join("config.json"), config).unwrap();
    let shown = succeeds(root.path(), &["inspect", "roberta"]);
    assert!(shown.contains("cannot be loaded") && shown.contains("expected `bert`"), "{shown}");
    std::fs::rename(dir.join("model.safetensors"), dir.join("tf_model.h5")).unwrap();
    let shown = succeeds(root.path(), &["inspect", "roberta"]);
    assert!(shown.contains("`tf_model.h5` is not read"), "{shown}");
}

#[test]
fn damaged_files_are_errors_that_name_the_file() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    foreign_model(&dir, 120);
    let whole = std::fs::read(dir.join("model.safetensors")).unwrap();
    for length in [0, 7, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(dir.join("model.safetensors"), &whole[..length]).unwrap();
        for path in ["model", "model/model.safetensors"] {
            let told = fails(root.path(), &["inspect", path], 1);
            assert!(told.contains("model/model.safetensors: "), "{length}: {told}");
        }
    }
    // A header that claims more than there is.
    let mut hostile = u64::MAX.to_le_bytes().to_vec();
    hostile.extend(b"{}");
    std::fs::write(dir.join("model.safetensors"), hostile).unwrap();
    assert!(fails(root.path(), &["inspect", "model"], 1).contains("expected at most 2"));
    std::fs::write(dir.join("config.json"), format!("{{\"a\": \"{}\"", SENTENCES[0])).unwrap();
    let told = fails(root.path(), &["inspect", "model"], 1);
    assert!(told.contains("model/config.json:1:") && told.contains("too early"), "{told}");
    std::fs::write(root.path().join("results.json"), format!("[\"{}\"]", SENTENCES[2])).unwrap();
    fails(root.path(), &["inspect", "results.json"], 1);
    std::fs::write(root.path().join("report.json"), format!("[\"{}\"]", SENTENCES[2])).unwrap();
    fails(root.path(), &["inspect", "report.json"], 1);
}

#[test]
fn what_is_no_artifact_is_refused_with_what_was_looked_for() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("notes/소견")).unwrap();
    std::fs::write(root.path().join("notes/1.txt"), SENTENCES[1]).unwrap();
    // Documents under names of ours.
    let lines = [SENTENCES[0], SENTENCES[0]].join("\n");
    std::fs::write(root.path().join("notes/소견/vocab.txt"), lines).unwrap();
    let told = fails(root.path(), &["inspect", "notes"], 2);
    insta::assert_snapshot!(told, @r"
    error: `notes` is not an artifact: it has no `manifest.json`, `config.json`, `bert_config.json`, `vocab.txt`, `tokenizer.json`, `index.json`, `log.jsonl`, `results.json`, `report.json` or `experiment.toml`
    hint: look into `notes/소견`
    ");
    fails(root.path(), &["inspect", "notes/1.txt"], 2);
    fails(root.path(), &["inspect", "nowhere"], 2);
    fails(root.path(), &["inspect", "notes/소견"], 1);
    fails(root.path(), &["inspect", "notes/소견/vocab.txt"], 1);
    for (name, content) in [("manifest.json", SENTENCES[3]), ("index.json", "{}")] {
        let dir = root.path().join("other");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(name), format!("[\"{content}\"]")).unwrap();
        fails(root.path(), &["inspect", "other"], 2);
    }
    foreign_model(&root.path().join("model"), 120);
    let told = fails(root.path(), &["compare", "model", "notes"], 2);
    assert!(told.contains("`notes` is not an artifact"), "{told}");
}

#[test]
fn vocabularies_stand_side_by_side_whether_a_model_is_there_or_not() {
    let root = tempfile::tempdir().unwrap();
    foreign_model(&root.path().join("base"), 120);
    std::fs::create_dir(root.path().join("new")).unwrap();
    std::fs::write(root.path().join("new/vocab.txt"), vocabulary(14)).unwrap();
    insta::assert_snapshot!(succeeds(root.path(), &["compare", "base", "new"]), @r"
    Rows

    rows                          base         new
    --------------------  ------------  ----------
    all                            120          14
    Hangul                108 (90.00%)  2 (14.29%)
    Hangul, ## alone               107           1
    Latin                    3 (2.50%)  3 (21.43%)
    Latin, ## alone                  1           1
    digits                   1 (0.83%)   1 (7.14%)
    digits, ## alone                 0           0
    Han                      1 (0.83%)   1 (7.14%)
    Han, ## alone                    0           0
    other                    1 (0.83%)   1 (7.14%)
    other, ## alone                  0           0
    special tokens                   5           5
    reserved ([unused…])             1           1

    By the first script of Hangul, Latin, digits, Han that a token holds; `##` continues a word.

    Shared tokens

    first  second  all  Hangul  Latin  digits  Han  other  of the first  of the second
    -----  ------  ---  ------  -----  ------  ---  -----  ------------  -------------
    base   new       8       2      3       1    1      1          7.0%         100.0%

    Equal strings, special tokens and reserved rows aside; the last two are shares.

    Rows of the special tokens

    token   base  new
    ------  ----  ---
    [PAD]      0    0
    [UNK]      2    2
    [CLS]      3    3
    [SEP]      4    4
    [MASK]     5    5

    Treatment of text

    tokenizer                     base  new
    ----------------------------  ----  ---
    lower-cases                     no   no
    removes accents                 no   no
    composes to NFC                 no   no
    folds variants of characters    no   no
    sets Han characters apart      yes  yes
    tokens matched literally         0    0
    ");
    let value = json(root.path(), &["compare", "base", "new/vocab.txt"]);
    assert_eq!(value["compared"], "vocabularies");
    assert_eq!(value["tables"][1]["rows"][0]["values"]["all"], 8);
    let shown = succeeds(root.path(), &["compare", "base", "base"]);
    assert!(shown.contains("base (2)") && shown.contains("Parameters"), "{shown}");
}

/// Two sources, a task, and an experiment of a tiny model that starts from random weights.
fn write_experiment(directory: &Path, file: &str, steps: u32) {
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
    let mut pairs = String::from("id\tsplit\tscore\ts1\ts2\n");
    for index in 0..30 {
        let (a, b) = (SENTENCES[index % 5], SENTENCES[(index * 3 + index / 5) % 5]);
        let score = if a == b { 5.0 } else { f64::from(index as u32 % 4) / 2.0 };
        let split = ["train", "dev", "test"][index % 3];
        pairs += &format!("{index}\t{split}\t{score}\t{a}\t{b}\n");
    }
    std::fs::write(directory.join("pairs.tsv"), pairs).unwrap();
    let name = file.trim_end_matches(".toml");
    let text = format!(
        r#"
[experiment]
name = "{name}"
seed = 3
output = "out"
store = "store-{name}"

[[corpus.source]]
name = "notes"
path = "notes.jsonl"
format = "jsonl"
text = ["text"]
id = "id"
licence = "CC-BY-4.0"
domain = "medical"
genre = "note"

[corpus.split]
valid_fraction = 0.2

[vocab]
policy = "replace"
size = 300
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
validate_every_steps = 5
validation_chars = 500

[export]

[eval]
bootstrap = {{ resamples = 50 }}

[[eval.task]]
name = "pairs"
protocol = "sts.embed"
language = "ko"
path = "pairs.tsv"
"#
    );
    std::fs::write(directory.join(file), text).unwrap();
}

/// The only artifact of `stage` in the store.
fn artifact(directory: &Path, store: &str, stage: &str) -> PathBuf {
    let entries = std::fs::read_dir(directory.join(store).join(stage)).unwrap();
    let mut found: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found.swap_remove(0).strip_prefix(directory).unwrap().to_path_buf()
}

#[test]
fn everything_that_a_run_leaves_is_recognised_verified_and_compared() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path();
    for (file, steps) in [("6a.toml", 10), ("6b.toml", 5)] {
        write_experiment(dir, file, steps);
        succeeds(dir, &["run", file, "--quiet"]);
    }
    let at = |store: &str, stage: &str| artifact(dir, store, stage).display().to_string();
    let run = at("store-6a", "pretrain");
    let checkpoint = format!("{run}/checkpoints/step-10");
    let expected = [
        (at("store-6a", "corpus"), "corpus", true),
        (at("store-6a", "vocab"), "vocabulary", true),
        (at("store-6a", "encode"), "token_store", true),
        (at("store-6a", "transplant"), "model", true),
        (run.clone(), "training_run", true),
        (checkpoint.clone(), "training_checkpoint", true),
        (format!("{checkpoint}/model.safetensors"), "weights", false),
        (at("store-6a", "eval"), "evaluation", true),
        ("out/6a/main/model".into(), "model", true),
        ("out/6a/main/model/vocab.txt".into(), "vocabulary", true),
        ("out/6a/main".into(), "arm", true),
        ("out/6a/main/eval".into(), "evaluation", false),
        ("out/6a/results.json".into(), "evaluation", false),
        ("out/6a".into(), "experiment", false),
    ];
    for (path, kind, has_hashes) in &expected {
        let value = json(dir, &["inspect", path, "--lineage"]);
        assert_eq!(value["kind"], *kind, "{path}");
        if *has_hashes {
            assert_eq!(value["lineage"][0]["licence"], "CC-BY-4.0", "{path}");
            let value = json(dir, &["inspect", path, "--verify"]);
            assert!(value["verified"]["files"].as_u64().unwrap() > 0, "{path}");
        } else {
            fails(dir, &["inspect", path, "--verify"], 2);
        }
        succeeds(dir, &["inspect", path]);
    }
    let value = json(dir, &["inspect", &checkpoint]);
    assert_eq!(value["checkpoint"]["state"]["step"], 10);
    assert_eq!(value["checkpoint"]["validation"]["step"], 10);
    compares(dir, &run);
    dumps(dir);
    // One byte of one file: whatever lists it tells.
    let vocab = dir.join(&checkpoint).join("vocab.txt");
    let mut bytes = std::fs::read(&vocab).unwrap();
    *bytes.last_mut().unwrap() = b' ';
    std::fs::write(&vocab, bytes).unwrap();
    for path in [&run, &checkpoint] {
        let told = fails(dir, &["inspect", path, "--verify"], 1);
        assert!(told.contains("step-10/vocab.txt: found BLAKE3"), "{told}");
    }
}

/// Two experiments that differ in their steps.
fn compares(dir: &Path, run: &str) {
    let titles = |value: &Value| -> Vec<String> {
        let tables = value["tables"].as_array().unwrap().iter();
        tables.map(|table| table["title"].as_str().unwrap().to_owned()).collect()
    };
    let arms = json(dir, &["compare", "out/6a/main", "out/6b/main"]);
    assert_eq!(arms["compared"], "runs");
    let settings = &arms["tables"][1]["rows"];
    let keys: Vec<&str> = settings
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| row["keys"]["setting"].as_str())
        .collect();
    assert_eq!(keys, ["experiment.name", "experiment.store", "pretrain.length.steps"]);
    assert_eq!(settings[2]["values"]["6a/main"], 10);
    let bits = arms["tables"][2]["rows"].as_array().unwrap();
    let at_10 = bits.iter().find(|row| row["keys"]["step"] == "10").unwrap();
    assert!(at_10["values"]["6a/main"].is_f64() && at_10["values"]["6b/main"].is_null());

    let eval = json(dir, &["compare", "out/6a/main/eval", "out/6b/results.json"]);
    let names = titles(&eval);
    assert!(names.contains(&"pairs, sts.embed, pearson".to_owned()), "{names:?}");
    let csv = succeeds(dir, &["compare", "out/6a/main", "out/6b/main/eval", "--format", "csv"]);
    let width = csv.lines().next().unwrap().matches(',').count();
    assert!(csv.starts_with("table,model,") && width > 10, "{csv}");

    let other = artifact(dir, "store-6b", "pretrain").display().to_string();
    let runs = json(dir, &["compare", run, &other]);
    assert_eq!(runs["tables"][1]["rows"][0]["keys"]["setting"], "pretrain.length.steps");
    let corpora = [artifact(dir, "store-6a", "corpus"), artifact(dir, "store-6b", "corpus")];
    let corpora = corpora.map(|path| path.display().to_string());
    let markdown = succeeds(dir, &["compare", &corpora[0], &corpora[1], "--format", "markdown"]);
    assert!(
        markdown.contains("### Words") && markdown.contains("| notes | mixed | train |"),
        "{markdown}"
    );
    let told = fails(dir, &["compare", run, &corpora[0], "out/6a/main/model"], 2);
    for kind in [": a training run", ": a corpus", ": a model"] {
        assert!(told.contains(kind), "{told}");
    }
}

/// What a model computes, for another implementation.
fn dumps(dir: &Path) {
    let texts = serde_json::to_string(&SENTENCES).unwrap();
    std::fs::write(dir.join("texts.json"), texts).unwrap();
    let arguments = ["inspect", "out/6a/main/model", "--dump-reference", "reference.safetensors"];
    succeeds(dir, &[&arguments[..], &["--texts", "texts.json"]].concat());
    let dump = bimed_checkpoint::read_safetensors(&dir.join("reference.safetensors")).unwrap();
    let model = json(dir, &["inspect", "out/6a/main/model"]);
    let rows = model["model"]["embedding_rows"].as_u64().unwrap() as usize;
    let shape = |name: &str| dump.weights.get(name).unwrap().shape.clone();
    for text in 0..SENTENCES.len() {
        let length = shape(&format!("ids.{text}"))[0];
        assert_eq!(shape(&format!("hidden.{text}")), [length, 32]);
        assert_eq!(shape(&format!("logits.{text}")), [length.min(16), rows]);
    }
    fails(dir, &arguments, 2);
    std::fs::write(dir.join("texts.json"), format!("{{\"{}\": 1}}", SENTENCES[4])).unwrap();
    let told = fails(dir, &[&arguments[..], &["--texts", "texts.json"]].concat(), 1);
    assert!(told.contains("expected an array of strings"), "{told}");
    let corpus = artifact(dir, "store-6a", "corpus").display().to_string();
    let arguments = ["inspect", &corpus, "--dump-reference", "x", "--texts", "texts.json"];
    assert!(fails(dir, &arguments, 2).contains("is a corpus"));
}

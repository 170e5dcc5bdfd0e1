//! A whole evaluation: every protocol, every reason to skip, and the way back from a kill.

mod support;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use bimed_artifact::{Cancel, Context, Progress, Silent, Unit};
use bimed_eval::{
    Error, EvalConfig, Evaluated, Protocol, Results, Status, TextPair, evaluate, merge,
};
use bimed_vocab::{EncodeConfig, InputDocument, encode};
use burn::tensor::Device;
use fs_err as fs;
use support::{OPS, Parts, pairs, tokenizer, write_model};

fn write_pairs(path: &Path, pairs: &[TextPair]) {
    let mut text = String::from("id\tscore\ts1\ts2\n");
    for pair in pairs {
        text.push_str(&format!("p{}\t{}\t{}\t{}\n", pair.row, pair.score, pair.s1, pair.s2));
    }
    fs::write(path, text).unwrap();
}

fn write_store(dir: &Path) {
    fs::create_dir(dir).unwrap();
    let document = |index: usize| InputDocument {
        text: pairs(8).iter().map(|pair| format!("{} ⅴ {}", pair.s1, pair.s2)).collect(),
        source: ["ehr", "textbook"][index % 2].into(),
        language: ["ko", "en", "mixed"][index % 3].into(),
        domain: "medical".into(),
        split: bimed_vocab::Split::Valid,
        group: None,
        private: false,
        sentences: vec![],
    };
    let documents = (0..12).map(|index| Ok::<_, std::convert::Infallible>(document(index)));
    let (silent, cancel) = (Silent, Cancel::new());
    let context = Context::new(&silent, &cancel);
    encode(documents, &tokenizer(), &EncodeConfig::default(), dir, &context).unwrap();
}

fn prepare(dir: &Path) -> EvalConfig {
    write_model(&dir.join("full"), 1, 0.1, Parts::All);
    write_model(&dir.join("bare"), 2, 0.1, Parts::EncoderOnly);
    write_store(&dir.join("store"));
    let all = pairs(60);
    write_pairs(&dir.join("train.tsv"), &all[..30]);
    write_pairs(&dir.join("dev.tsv"), &all[30..45]);
    write_pairs(&dir.join("test.tsv"), &all[45..]);
    let path = |name: &str| dir.join(name).display().to_string();
    let pair_reg =
        serde_json::json!({"learning_rates": [1e-3, 2e-3], "batch_size": 8, "epochs": 2});
    serde_json::from_value(serde_json::json!({
        "seeds": [1, 2],
        "bootstrap": {"resamples": 200},
        "task": [
            {"name": "words", "protocol": "mlm"},
            {"name": "alike", "protocol": "sts.embed", "dev": path("dev.tsv")},
            {"name": "lost", "protocol": "sts.embed", "dev": path("none.tsv")},
            {"name": "tuned", "protocol": "sts.pair_reg", "train": path("train.tsv"),
             "dev": path("dev.tsv"), "test": path("test.tsv"), "pair_reg": pair_reg},
        ],
    }))
    .unwrap()
}

fn run(
    dir: &Path,
    out: &str,
    config: &EvalConfig,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Results, Error> {
    let (full, bare) = (dir.join("full"), dir.join("bare"));
    let context = Context::new(progress, cancel);
    let models = [("full", full.as_path()), ("bare", bare.as_path())];
    let store = dir.join("store");
    evaluate(&models, config, Some(&store), &OPS, &Device::flex(), &context, &dir.join(out))
}

/// Counts the runs of fine-tuning, and asks to stop when one of them begins.
struct StopAt<'a> {
    runs: AtomicUsize,
    stop_at: usize,
    cancel: &'a Cancel,
}

impl Progress for StopAt<'_> {
    fn begin(&self, step: &str, _total: Option<u64>, _unit: Unit) {
        let begun = usize::from(step.starts_with("fine-tune"));
        if self.runs.fetch_add(begun, Ordering::Relaxed) + begun == self.stop_at {
            self.cancel.cancel();
        }
    }
    fn advance(&self, _amount: u64) {}
    fn status(&self, _figures: &str) {}
    fn note(&self, _line: &str) {}
    fn end(&self) {}
}

#[test]
fn every_task_has_rows_for_every_model_and_a_stopped_evaluation_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = prepare(dir.path());
    assert_eq!(config.faults(), []);
    let straight = run(dir.path(), "straight", &config, &Silent, &Cancel::new()).unwrap();
    check_rows(&straight);

    // Two models, two rates, two seeds: 8 runs. The sixth is stopped, and five are not done again.
    let cancel = Cancel::new();
    let progress = StopAt { runs: AtomicUsize::new(0), stop_at: 6, cancel: &cancel };
    let stopped = run(dir.path(), "stopped", &config, &progress, &cancel);
    assert!(matches!(stopped, Err(Error::Cancelled(_))), "{stopped:?}");
    assert!(!dir.path().join("stopped/results.json").exists());
    let cancel = Cancel::new();
    let progress = StopAt { runs: AtomicUsize::new(0), stop_at: usize::MAX, cancel: &cancel };
    run(dir.path(), "stopped", &config, &progress, &cancel).unwrap();
    assert_eq!(progress.runs.into_inner(), 3);
    for file in ["results.json", "results.md", "results.csv", "predictions.jsonl"] {
        let read = |out: &str| fs::read(dir.path().join(out).join(file)).unwrap();
        assert!(read("straight") == read("stopped"), "{file}");
    }
    let predictions = fs::read_to_string(dir.path().join("straight/predictions.jsonl")).unwrap();
    assert!(!predictions.contains("환자는"), "an answer holds a sentence");
    check_merge(dir.path(), straight);
}

fn check_rows(results: &Results) {
    let rows = |task: &str, model: &str| -> Vec<_> {
        results.rows.iter().filter(|row| row.task == task && row.model == model).collect()
    };
    for model in ["full", "bare"] {
        let [lost] = rows("lost", model)[..] else { panic!("one row") };
        assert!(lost.status == Status::Skipped && lost.note.contains("not found"), "{lost:?}");
        let alike = rows("alike", model);
        assert_eq!(alike.iter().map(|row| row.num_items).collect::<Vec<_>>(), [15, 15]);
        let tuned = rows("tuned", model);
        assert_eq!(tuned.len(), 4); // two metrics of dev and of test
        assert!(tuned.iter().all(|row| row.per_seed.len() == 2 && row.deviation.is_some()));
        let is_random = |note: &str| note.contains("the pooler started at random");
        assert!(tuned.iter().all(|row| is_random(&row.note) == (model == "bare")));
    }
    let [skipped] = rows("words", "bare")[..] else { panic!("one row") };
    assert_eq!(skipped.note, "the model has no masked-language-model head");
    let words = rows("words", "full");
    let mut parts: Vec<&str> = words.iter().map(|row| row.part.as_str()).collect();
    parts.dedup();
    let expected = ["", "language:en", "language:ko", "language:mixed", "source:ehr"];
    assert_eq!(parts[..5], expected);
    let bits = words.iter().find(|row| row.metric == "bits_per_character").unwrap();
    assert!(bits.value.unwrap() > 0.0 && bits.note.contains("[UNK]"), "{bits:?}");
    assert_eq!(results.runs.len(), 8);
    assert_eq!(results.runs.iter().filter(|run| run.is_reported).count(), 4);
    let clear = |protocol| results.comparisons.iter().any(|c| c.protocol == protocol);
    assert!(clear(Protocol::StsEmbed) && clear(Protocol::StsPairRegression));
}

/// The two models apart, joined again, have the figures of the two together.
fn check_merge(dir: &Path, together: Results) {
    fs::create_dir(dir.join("again")).unwrap();
    let config = prepare(&dir.join("again"));
    let (silent, cancel) = (Silent, Cancel::new());
    let context = Context::new(&silent, &cancel);
    let apart = ["full", "bare"].map(|name| {
        let (model, out) = (dir.join("again").join(name), dir.join(format!("apart-{name}")));
        let models = [(name, model.as_path())];
        let store = dir.join("store");
        evaluate(&models, &config, Some(&store), &OPS, &Device::flex(), &context, &out).unwrap();
        Evaluated::read(&out).unwrap()
    });
    let merged = merge(apart.to_vec(), Some("full"), &config.bootstrap).unwrap();
    assert_eq!(merged.results.comparisons, together.comparisons);
    let sorted = |results: &Results| {
        let mut rows: Vec<String> = results.rows.iter().map(|row| format!("{row:?}")).collect();
        rows.retain(|row| !row.contains("not found")); // its note names the directory
        rows.sort();
        rows
    };
    assert_eq!(sorted(&merged.results), sorted(&together));
    let [full, _] = &apart;
    let twice = merge(vec![full.clone(), full.clone()], None, &config.bootstrap);
    assert!(matches!(twice, Err(Error::DuplicateModel { .. })));
    let unknown = merge(vec![full.clone()], Some("bilingual"), &config.bootstrap);
    assert!(matches!(unknown, Err(Error::UnknownReference { .. })));
}

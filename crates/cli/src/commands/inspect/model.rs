//! A model's directory: what its config, its tensors and its vocabulary say, and whether they agree.

use std::collections::BTreeMap;
use std::path::Path;

use bimed_checkpoint::{
    Accounting, Dimensions, Error, ModelDir, Part, UnusedReason, WeightFiles, find_config,
    find_vocab, list_weights, load_model_dir,
};
use fs_err as fs;
use serde_json::{Map, Value, json};

use super::page::{Page, counted};
use super::vocabulary::Vocabulary;
use super::{known, tensors};
use crate::commands::recognise::read_json;
use crate::output::{bytes, grouped};

/// A model as it was found.
#[derive(Debug)]
pub(in crate::commands) struct Model {
    /// `config.json`.
    pub(in crate::commands) config: Map<String, Value>,
    dimensions: Option<Dimensions>,
    weights: Result<Weights, Fault>,
    accounting: Result<Accounting, Fault>,
    /// Its vocabulary; none where no file of one is there.
    pub(in crate::commands) vocabulary: Option<Result<Vocabulary, String>>,
}

#[derive(Debug)]
struct Weights {
    listed: WeightFiles,
    /// The length of each file.
    bytes: Vec<u64>,
}

/// Why a model cannot be loaded, and what to do.
#[derive(Debug, Clone)]
struct Fault {
    message: String,
    hint: Option<String>,
}

impl Fault {
    fn of(error: &Error) -> Self {
        Self { message: error.to_string(), hint: error.hint() }
    }
}

impl Model {
    /// Of the directory `dir`, with every tensor read.
    ///
    /// # Errors
    /// When a file is damaged or cannot be read. A model of another kind is no error.
    pub(in crate::commands) fn read(dir: &Path) -> anyhow::Result<Self> {
        let config: Map<String, Value> = read_json(&find_config(dir)?, "the config of a model")?;
        let weights = match list_weights(dir) {
            Ok(listed) => {
                let length = |name: &String| Ok(fs::metadata(dir.join(name))?.len());
                let bytes = listed.files.iter().map(length).collect::<anyhow::Result<_>>()?;
                Ok(Weights { listed, bytes })
            }
            Err(error @ Error::FileMissing { found, .. }) => Err(match found {
                Some(found) => {
                    Fault { message: format!("`{found}`, which is not read"), hint: error.hint() }
                }
                None => Fault { message: "none here".to_owned(), hint: None },
            }),
            Err(error) => return Err(error.into()),
        };
        let accounting = match (&weights, load_model_dir(dir)) {
            (Err(fault), _) => Err(fault.clone()),
            (_, Ok(ModelDir { accounting, .. })) => Ok(accounting),
            (_, Err(error)) if is_damage(&error) => return Err(error.into()),
            (_, Err(error)) => Err(Fault::of(&error)),
        };
        let has_vocabulary = find_vocab(dir)?.is_some() || dir.join("tokenizer.json").is_file();
        let vocabulary =
            has_vocabulary.then(|| Vocabulary::read(dir).map_err(|error| format!("{error:#}")));
        let dimensions = Dimensions::from_config(&config).ok();
        Ok(Self { config, dimensions, weights, accounting, vocabulary })
    }

    /// Parameters by part, those of the tied decoder once; nothing for a model that does not load.
    pub(in crate::commands) fn parameters(&self) -> Vec<(&'static str, u64)> {
        let Ok(accounting) = &self.accounting else { return Vec::new() };
        let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
        for tensor in &accounting.applied {
            let place = match tensor.part {
                Part::Encoder if tensor.name.starts_with("bert.embeddings.") => 0,
                Part::Encoder => 1,
                Part::Pooler => 2,
                Part::MlmHead => 3,
                Part::NspHead => 4,
                Part::Classifier => 5,
            };
            *counts.entry(place).or_default() += tensor.shape.iter().product::<usize>() as u64;
        }
        let names =
            ["embeddings", "encoder layers", "pooler", "MLM head", "NSP head", "classifier"];
        counts.into_iter().map(|(place, count)| (names[place], count)).collect()
    }

    /// Puts it on a page.
    pub(super) fn show(&self, page: &mut Page, with_tensors: bool) -> anyhow::Result<()> {
        self.show_weights(page);
        page.fact("config", config_text(&self.config));
        self.show_parts(page);
        self.show_vocabulary(page);
        if let Some(dimensions) = &self.dimensions {
            let like = self.looks_like(dimensions);
            if !like.is_empty() {
                let like = like.join(" or ");
                let vocabulary = self.vocabulary.as_ref().and_then(|found| found.as_ref().ok());
                let certainty = known::certainty(vocabulary.map(|found| &found.vocab));
                page.fact("looks like", format!("{like}; {certainty}"));
            }
        }
        page.put("model", self.to_value(with_tensors)?)?;
        if let (Ok(accounting), true) = (&self.accounting, self.has_more_to_say()) {
            page.table(tensors::not_applied(accounting));
        }
        if let (Ok(weights), true) = (&self.weights, with_tensors) {
            page.table(tensors::all(&weights.listed.tensors));
        }
        Ok(())
    }

    fn show_weights(&self, page: &mut Page) {
        match &self.weights {
            Ok(weights) => page.fact("weights", weights.text()),
            Err(fault) => page.fact("weights", &fault.message),
        }
        if let Err(fault) = &self.accounting {
            if self.weights.is_ok() {
                page.fact("cannot be loaded", &fault.message);
            }
            if let Some(hint) = &fault.hint {
                page.fact("hint", hint);
            }
        }
    }

    fn show_parts(&self, page: &mut Page) {
        let Ok(accounting) = &self.accounting else { return };
        let parameters = self.parameters();
        let all: u64 = parameters.iter().map(|(_, count)| count).sum();
        let parts: Vec<String> =
            parameters.iter().map(|(name, count)| format!("{name} {}", grouped(*count))).collect();
        page.fact("parameters", format!("{}: {}", grouped(all), parts.join(", ")));
        let (has, lacks): (Vec<_>, Vec<_>) =
            HEADS.into_iter().partition(|(part, _)| accounting.has(*part));
        let names = |heads: &[(Part, &str)]| {
            let names: Vec<&str> = heads.iter().map(|(_, name)| *name).collect();
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        };
        page.fact("heads", format!("{}; missing: {}", names(&has), names(&lacks)));
        if accounting.has(Part::MlmHead) {
            page.fact("decoder", self.decoder_text(accounting));
        }
        page.fact("tensors", tensors_text(accounting));
    }

    fn decoder_text(&self, accounting: &Accounting) -> &'static str {
        let repeats = accounting.unused.iter().any(|one| one.reason == UnusedReason::Tied);
        if repeats {
            "tied to the word embeddings, and repeated in the file bit for bit"
        } else {
            "tied to the word embeddings"
        }
    }

    fn show_vocabulary(&self, page: &mut Page) {
        match &self.vocabulary {
            None => page.fact("vocabulary", "none: neither `vocab.txt` nor `tokenizer.json`"),
            Some(Err(fault)) => page.fact("vocabulary", format!("cannot be read: {fault}")),
            Some(Ok(vocabulary)) => {
                let agreement = match (self.embedding_rows(), vocabulary.vocab.len()) {
                    (None, _) => String::new(),
                    (Some(rows), found) if rows == found && self.weights.is_err() => {
                        "; as many as the config says".into()
                    }
                    (Some(rows), found) if rows == found => "; as many as the embedding".into(),
                    (Some(rows), found) if rows > found => {
                        let more = grouped((rows - found) as u64);
                        format!("; the embedding has {more} more, which no token uses")
                    }
                    (Some(rows), _) => {
                        let rows = grouped(rows as u64);
                        format!("; DISAGREES with the embedding, which has only {rows}")
                    }
                };
                page.fact("vocabulary", vocabulary.rows_text() + &agreement);
                page.fact("special tokens", vocabulary.specials_text());
                page.fact("tokenizer", vocabulary.rules_text());
            }
        }
    }

    /// Rows of the word embeddings: by the tensor, else by the config.
    fn embedding_rows(&self) -> Option<usize> {
        let by_tensor = self.accounting.as_ref().ok().and_then(|accounting| {
            let name = bimed_checkpoint::WORD_EMBEDDINGS;
            accounting.applied.iter().find(|tensor| tensor.name == name)?.shape.first().copied()
        });
        by_tensor.or(self.dimensions.map(|dimensions| dimensions.vocab_size))
    }

    fn looks_like(&self, dimensions: &Dimensions) -> Vec<&'static str> {
        let vocabulary = self.vocabulary.as_ref().and_then(|found| found.as_ref().ok());
        known::models(dimensions, vocabulary.map(|found| &found.vocab))
    }

    /// Whether tensors are missing, not used, or not finite.
    fn has_more_to_say(&self) -> bool {
        self.accounting.as_ref().is_ok_and(|accounting| {
            !accounting.missing.is_empty()
                || !accounting.unused.is_empty()
                || num_non_finite(accounting) > 0
        })
    }

    fn to_value(&self, with_tensors: bool) -> anyhow::Result<Value> {
        let mut value = json!({
            "config": self.config,
            "parameters": self.parameters().into_iter().collect::<BTreeMap<_, _>>(),
            "num_parameters": self.parameters().iter().map(|(_, count)| count).sum::<u64>(),
            "embedding_rows": self.embedding_rows(),
            "looks_like": self.dimensions.map(|dimensions| self.looks_like(&dimensions)),
        });
        if let Ok(Weights { listed, bytes }) = &self.weights {
            let files: Vec<Value> = listed
                .files
                .iter()
                .zip(bytes)
                .map(|(name, bytes)| json!({ "path": name, "bytes": bytes }))
                .collect();
            value["weights"] = json!({
                "format": listed.format, "sharded": listed.is_sharded, "files": files,
                "dtypes": tensors::dtypes(&listed.tensors),
            });
            if with_tensors {
                value["tensors"] = json!(listed.tensors);
            }
        }
        match &self.accounting {
            Ok(accounting) => {
                let heads: BTreeMap<&str, bool> =
                    HEADS.into_iter().map(|(part, name)| (name, accounting.has(part))).collect();
                value["heads"] = json!(heads);
                value["accounting"] = json!({
                    "applied": accounting.applied.len(),
                    "missing": accounting.missing,
                    "unused": accounting.unused,
                    "non_finite_elements": num_non_finite(accounting),
                });
            }
            Err(fault) => value["fault"] = json!({ "message": fault.message, "hint": fault.hint }),
        }
        match &self.vocabulary {
            None => {}
            Some(Err(fault)) => value["vocabulary"] = json!({ "fault": fault }),
            Some(Ok(vocabulary)) => {
                value["vocabulary"] = vocabulary.to_value();
                let rows = vocabulary.vocab.len();
                value["vocabulary_fits"] = json!(self.embedding_rows().map(|found| found >= rows));
            }
        }
        Ok(value)
    }
}

/// The parts that a model may lack.
const HEADS: [(Part, &str); 4] = [
    (Part::Pooler, "pooler"),
    (Part::MlmHead, "MLM"),
    (Part::NspHead, "NSP"),
    (Part::Classifier, "classifier"),
];

impl Weights {
    fn text(&self) -> String {
        let size = bytes(self.bytes.iter().sum());
        let kinds: Vec<String> = tensors::dtypes(&self.listed.tensors)
            .into_iter()
            .map(|(dtype, count)| format!("{} {dtype}", grouped(count)))
            .collect();
        let files = match (self.listed.is_sharded, self.listed.files.as_slice()) {
            (false, [file]) => format!("`{file}`"),
            (false, files) => format!("`{}`", files.join("`, `")),
            (true, files) => counted(files.len(), "shard"),
        };
        let format = self.listed.format.name();
        format!("{format}, {files}, {size}, tensors: {}", kinds.join(", "))
    }
}

/// Whether the files themselves are not sound; a model of another kind is no damage.
fn is_damage(error: &Error) -> bool {
    matches!(
        error,
        Error::Io(_)
            | Error::Safetensors { .. }
            | Error::Pytorch { .. }
            | Error::Tensorflow { .. }
            | Error::Index { .. }
            | Error::Claims { .. }
    )
}

fn num_non_finite(accounting: &Accounting) -> usize {
    accounting.applied.iter().map(|tensor| tensor.num_non_finite).sum()
}

fn tensors_text(accounting: &Accounting) -> String {
    let Accounting { applied, missing, unused } = accounting;
    let mut text =
        format!("{} applied, {} missing, {} unused", applied.len(), missing.len(), unused.len());
    let renamed = applied.iter().filter(|tensor| tensor.found_as.is_some()).count();
    if renamed > 0 {
        text += &format!("; {renamed} under other names");
    }
    match num_non_finite(accounting) {
        0 => {}
        count => text += &format!("; {} elements ARE NOT FINITE", grouped(count as u64)),
    }
    text
}

/// The config in the words of the field.
fn config_text(config: &Map<String, Value>) -> String {
    let number = |key: &str| config.get(key).and_then(Value::as_u64).map(grouped);
    let word = |key: &str| config.get(key).and_then(Value::as_str).map(str::to_owned);
    let architectures = config.get("architectures").and_then(Value::as_array);
    let classes: Vec<&str> =
        architectures.into_iter().flatten().filter_map(Value::as_str).collect();
    let parts = [
        word("model_type"),
        (!classes.is_empty()).then(|| classes.join(", ")),
        number("num_hidden_layers").map(|count| format!("{count} layers")),
        number("hidden_size").map(|count| format!("hidden {count}")),
        number("num_attention_heads").map(|count| format!("{count} heads")),
        number("intermediate_size").map(|count| format!("intermediate {count}")),
        number("max_position_embeddings").map(|count| format!("{count} positions")),
        number("vocab_size").map(|count| format!("vocabulary {count}")),
        word("hidden_act"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

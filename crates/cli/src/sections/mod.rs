//! The sections of an experiment file: which there are, what they are read as, and the checks that
//! concern several of them. The structs of the stages belong to the stages' crates.

mod own;

use std::path::PathBuf;

use bimed_corpus::{CorpusConfig, SourceConfig};
use bimed_eval::EvalConfig;
use bimed_train::{Precision, PretrainConfig};
use bimed_vocab::{EncodeConfig, Init, Policy, ReportConfig, VocabConfig};
use serde::{Deserialize, Serialize};

use crate::args::ExperimentArgs;
use crate::experiment::{Arm, Composer, ExperimentFile, nearest};
use crate::failure::UsageError;
use crate::session::Session;

pub(crate) use own::{DecoderBias, ExperimentConfig, ExportConfig, Normalizer, TransplantConfig};

/// The keys at the top of an experiment file; `arm` is read before them.
const SECTIONS: [&str; 9] =
    ["experiment", "corpus", "vocab", "encode", "transplant", "pretrain", "export", "eval", "arm"];

/// What `transplant.base` is for a model that starts from nothing.
const RANDOM_BASE: &str = "random";

/// One arm's config, every section of it. A stage whose section is absent is not run.
#[derive(Debug, Clone)]
pub(crate) struct Experiment {
    /// `[experiment]`.
    pub(crate) experiment: ExperimentConfig,
    /// `[corpus]` with its sources.
    pub(crate) corpus: Option<Corpus>,
    /// `[corpus]` as it is without the arm: what the base's head is trained on and all models are
    /// asked about.
    pub(crate) shared_corpus: Option<Corpus>,
    /// `[vocab]`.
    pub(crate) vocab: Option<Vocabulary>,
    /// `[vocab.report]`; empty where it is absent.
    pub(crate) vocab_report: ReportConfig,
    /// `[encode]`.
    pub(crate) encode: Option<EncodeConfig>,
    /// `[transplant]`.
    pub(crate) transplant: Option<Transplant>,
    /// `[pretrain]`.
    pub(crate) pretrain: Option<PretrainConfig>,
    /// `[export]`.
    pub(crate) export: Option<ExportConfig>,
    /// `[eval]`.
    pub(crate) eval: Option<EvalConfig>,
}

/// `[corpus]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Corpus {
    /// `[[corpus.source]]`.
    pub(crate) sources: Vec<SourceConfig>,
    /// The rest.
    pub(crate) config: CorpusConfig,
}

/// `[vocab]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Vocabulary {
    /// `use`: a directory with a tokenizer's files.
    Use(PathBuf),
    /// By its policy.
    Config(VocabConfig),
}

impl Vocabulary {
    /// Whether the corpus gives its rows, or some of them.
    pub(crate) fn is_trained(&self) -> bool {
        let Self::Config(config) = self else { return false };
        config.policy == Policy::Replace || self.is_extended() && config.words.is_none()
    }

    /// Whether it is the base's own with rows behind them.
    pub(crate) fn is_extended(&self) -> bool {
        matches!(self, Self::Config(config) if config.policy == Policy::Extend)
    }

    /// Whether it is the base's own.
    pub(crate) fn is_kept(&self) -> bool {
        matches!(self, Self::Config(config) if config.policy == Policy::Keep)
    }
}

/// `[transplant]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Transplant {
    /// A model's directory; `None` starts from random weights.
    pub(crate) base: Option<PathBuf>,
    /// The rest.
    pub(crate) config: TransplantConfig,
}

impl Experiment {
    /// Reads every section; `None` when one has a fault.
    pub(crate) fn compose(composer: &mut Composer<'_>) -> Option<Self> {
        composer.sections(&SECTIONS);
        let experiment = composer.read("experiment", &[], ExperimentConfig::faults);
        let corpus = section(composer, "corpus", Corpus::compose);
        let shared_corpus = composer
            .shared()
            .and_then(|mut shared| section(&mut shared, "corpus", Corpus::compose).ok().flatten());
        let vocab = section(composer, "vocab", Vocabulary::compose);
        let vocab_report = section(composer, "vocab.report", |composer| {
            composer.read("vocab.report", &[], ReportConfig::faults)
        });
        let encode = section(composer, "encode", |composer| {
            composer.read("encode", &[], EncodeConfig::faults)
        });
        let transplant = section(composer, "transplant", Transplant::compose);
        let pretrain = section(composer, "pretrain", |composer| {
            composer.read("pretrain", &[], PretrainConfig::faults)
        });
        let export = section(composer, "export", |composer| {
            composer.read("export", &[], |_: &ExportConfig| Vec::new())
        });
        let eval =
            section(composer, "eval", |composer| composer.read("eval", &[], EvalConfig::faults));
        let experiment = Self {
            experiment: experiment?,
            corpus: corpus.ok()?,
            shared_corpus,
            vocab: vocab.ok()?,
            vocab_report: vocab_report.ok()?.unwrap_or_default(),
            encode: encode.ok()?,
            transplant: transplant.ok()?,
            pretrain: pretrain.ok()?,
            export: export.ok()?,
            eval: eval.ok()?,
        };
        experiment.check(composer);
        Some(experiment)
    }

    /// What the sections need of one another.
    fn check(&self, composer: &mut Composer<'_>) {
        let (corpus, vocab) =
            (("`[corpus]`", self.corpus.is_some()), ("`[vocab]`", self.vocab.is_some()));
        let encode = ("`[encode]`", self.encode.is_some());
        let transplant = ("`[transplant]`", self.transplant.is_some());
        let shared = ("a `[corpus]` outside the arms", self.shared_corpus.is_some());
        let is_trained = self.vocab.as_ref().is_some_and(Vocabulary::is_trained);
        let of_vocab = if is_trained { &[corpus] as &[_] } else { &[] };
        let of_report = &[corpus];
        for (section, needed) in [
            ("vocab", of_vocab),
            ("vocab.report", of_report),
            ("encode", &[corpus, vocab]),
            ("transplant", &[vocab]),
            ("pretrain", &[encode, transplant]),
            ("export", &[transplant]),
            ("eval", &[transplant]),
            ("pretrain.head", &[shared]),
        ] {
            let absent: Vec<&str> =
                needed.iter().filter(|(_, is_there)| !is_there).map(|(name, _)| *name).collect();
            if !absent.is_empty() && composer.has(section) {
                let verb = if absent.len() == 1 { "is" } else { "are" };
                let message = format!("needs {}, which {verb} absent", absent.join(" and "));
                composer.fault(section, &message, None);
            }
        }
        let moved = self.transplant.as_ref().filter(|transplant| transplant.base.is_some());
        let is_focused = moved.is_some_and(|one| one.config.init.contains(&Init::Focus));
        if is_focused && (self.corpus.is_none() || self.encode.is_none()) {
            let message = "has `focus`, which reads the tokens of `[corpus]` and `[encode]`";
            let hint = Some("add the sections, or name `transplant.init` without `focus`");
            composer.fault("transplant.init", message, hint);
        }
        let has_base = self.transplant.as_ref().is_some_and(|transplant| transplant.base.is_some());
        if let Some(Vocabulary::Config(VocabConfig { policy, .. })) = &self.vocab
            && *policy != Policy::Replace
            && !has_base
        {
            let name = policy.name();
            let message =
                format!("is `{name}`, expected `replace` where `transplant.base` is `random`");
            composer.fault("vocab.policy", &message, None);
        }
    }

    /// What every file of one arm lies under: `<output>/<name>/<arm>`.
    pub(crate) fn arm_directory(&self, arm: &str) -> PathBuf {
        self.directory().join(arm)
    }

    /// What every file of the experiment lies under: `<output>/<name>`.
    pub(crate) fn directory(&self) -> PathBuf {
        self.experiment.output.join(&self.experiment.name)
    }

    /// Whether the pretraining is to compute in bf16.
    pub(crate) fn wants_bf16(&self) -> bool {
        self.pretrain.as_ref().is_some_and(|pretrain| pretrain.precision == Precision::Bf16)
    }
}

/// A section that may be absent: `Err` where it is there and has a fault.
fn section<'c, T>(
    composer: &mut Composer<'c>,
    name: &str,
    read: impl FnOnce(&mut Composer<'c>) -> Option<T>,
) -> Result<Option<T>, ()> {
    if !composer.has(name) {
        return Ok(None);
    }
    read(composer).map(Some).ok_or(())
}

impl Corpus {
    fn compose(composer: &mut Composer<'_>) -> Option<Self> {
        let count = composer.count("corpus.source");
        let sources = composer.read_each("corpus.source", SourceConfig::faults);
        if count == 0 && !composer.has("corpus.source") {
            let hint = Some("add a `[[corpus.source]]`");
            composer.fault("corpus", "has no source, expected one or more", hint);
        }
        for (index, source) in sources.iter().enumerate() {
            if sources[..index].iter().any(|other| other.name == source.name) {
                let path = format!("corpus.source[{index}].name");
                composer.fault(&path, &format!("is `{}`, as another source's", source.name), None);
            }
        }
        let config = composer.read("corpus", &["source"], CorpusConfig::faults);
        (sources.len() == count && count > 0).then_some(())?;
        let mut config = config?;
        // Foreign files are read by this program, started once more for each.
        config.readers.worker = std::env::current_exe().ok();
        Some(Self { sources, config })
    }
}

impl Vocabulary {
    fn compose(composer: &mut Composer<'_>) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Use {
            r#use: PathBuf,
        }
        let config = composer.read("vocab", &["use", "report"], VocabConfig::faults);
        if !composer.has("vocab.use") {
            return config.map(Self::Config);
        }
        let others = keys_of(&VocabConfig::default());
        let others: Vec<&str> = others.iter().map(String::as_str).chain(["report"]).collect();
        let found = composer.read("vocab", &others, |_: &Use| Vec::new())?;
        config.map(|_| Self::Use(found.r#use))
    }
}

impl Transplant {
    fn compose(composer: &mut Composer<'_>) -> Option<Self> {
        let config = composer.read("transplant", &[], TransplantConfig::faults);
        let is_random = composer.text("transplant.base") == Some(RANDOM_BASE);
        if composer.has("transplant.model") && !is_random && composer.has("transplant.base") {
            let message = "is there, expected only where `transplant.base` is `random`";
            composer.fault("transplant.model", message, None);
        }
        if composer.has("transplant.model.vocab_size") {
            let message = "is there, but it follows from the vocabulary";
            composer.fault("transplant.model.vocab_size", message, Some("set `vocab.size`"));
        }
        let config = config?;
        Some(Self { base: (!is_random).then(|| config.base.clone()), config })
    }
}

/// The names of a config's keys.
fn keys_of<T: Serialize>(config: &T) -> Vec<String> {
    match serde_json::to_value(config) {
        Ok(serde_json::Value::Object(object)) => object.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

/// The arms that `args` asks for, checked and resolved, in the order of the file.
///
/// # Errors
/// Every fault of the file; an arm that it does not have.
pub(crate) fn read_arms(
    session: &Session,
    args: &ExperimentArgs,
) -> anyhow::Result<Vec<Arm<Experiment>>> {
    let file = ExperimentFile::read(&args.experiment, environment(), &session.global.sets);
    let file = file.map_err(|error| UsageError::new(error.to_string()))?;
    let mut arms = file.arms(Experiment::compose)?;
    let known: Vec<String> = arms.iter().map(|arm| arm.name.clone()).collect();
    if let Some(unknown) = args.arms.iter().find(|name| !known.contains(name)) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let hint = match nearest(unknown, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the arms are `{}`", known.join("`, `")),
        };
        let message = format!("`{}` has no arm `{unknown}`", args.experiment.display());
        return Err(UsageError::new(message).with_hint(hint).into());
    }
    if !args.arms.is_empty() {
        arms.retain(|arm| args.arms.contains(&arm.name));
    }
    Ok(arms)
}

/// The process's environment, without what is not text.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
}

#[cfg(test)]
mod tests;

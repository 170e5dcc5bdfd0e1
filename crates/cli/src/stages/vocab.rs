//! Corpus, or base → vocabulary and tokenizer, with a report.

use std::path::Path;
use std::rc::Rc;

use anyhow::Context as _;
use bimed_artifact::{Artifact, Manifest, hash_file};
use bimed_vocab::{
    BERT_MAX_LENGTH, InputDocument, Policy, Split, TermList, Tokenizer, VocabConfig, extend,
    extend_by_words, report, save_tokenizer, train,
};
use fs_err as fs;
use serde_json::json;

use super::Stages;
use super::documents::documents;
use super::recipe::{Recipe, RecipeBuilder, Upstream};
use super::survey::{BaseModel, TOKENIZER_FILES, tokenizer_dir, tokenizer_files};
use super::workshop::Workshop;
use crate::sections::Vocabulary;

/// The stage's name in the store.
pub(crate) const STAGE: &str = "vocab";
/// The name of the report that sets it beside the base's.
pub(crate) const REPORT_STAGE: &str = "vocab-report";
/// The form of its output.
const REVISION: u32 = 3;

/// What decides the vocabulary; nothing for one that is given.
pub(crate) fn recipe(stages: &Stages<'_>) -> anyhow::Result<Option<Recipe>> {
    let config = match stages.vocabulary()? {
        Vocabulary::Use(_) => return Ok(None),
        Vocabulary::Config(config) => config,
    };
    let mut recipe = RecipeBuilder::new(STAGE, REVISION);
    if config.policy != Policy::Replace {
        recipe = recipe.input("base", &base(stages)?.tokenizer());
    }
    if config.policy == Policy::Keep {
        return Ok(Some(recipe.config("policy", &config.policy).finish()));
    }
    if config.words.is_none() {
        recipe = recipe.input("corpus", &stages.corpus()?);
    }
    // What the lists hold, not where they lie.
    let placeless = VocabConfig { words: None, deny_file: None, ..config.clone() };
    recipe = recipe.config("vocab", &placeless).shown("vocab", config);
    for (role, path) in [("words", &config.words), ("deny_file", &config.deny_file)] {
        if let Some(path) = path {
            recipe = recipe.part(role, hash_file(path)?.as_str().as_bytes());
        }
    }
    Ok(Some(recipe.finish()))
}

/// The base, whose rows are kept or extended.
fn base(stages: &Stages<'_>) -> anyhow::Result<Rc<BaseModel>> {
    stages.base()?.context("`vocab.policy` is `keep` or `extend` without a base")
}

/// The directory of the vocabulary, there or to be made.
pub(crate) fn upstream(stages: &Stages<'_>) -> anyhow::Result<Upstream> {
    let vocabulary = stages.vocabulary()?;
    match (recipe(stages)?, vocabulary) {
        // By the base's own hash, so that its tokens are found wherever they are asked for.
        (Some(recipe), _) if vocabulary.is_kept() => {
            Ok(Upstream { hash: base(stages)?.tokenizer.clone(), ..recipe.upstream(stages.store) })
        }
        (Some(recipe), _) => Ok(recipe.upstream(stages.store)),
        (None, Vocabulary::Use(path)) => tokenizer_dir(path),
        (None, Vocabulary::Config(_)) => anyhow::bail!("a vocabulary without a recipe"),
    }
}

/// Makes it, or finds it; and the report where there is a base to compare with.
pub(crate) fn make(stages: &Stages<'_>, workshop: &mut Workshop<'_>) -> anyhow::Result<()> {
    if let (Some(recipe), Vocabulary::Config(config)) = (recipe(stages)?, stages.vocabulary()?) {
        match config.policy {
            Policy::Keep => keep(stages, workshop, recipe)?,
            Policy::Extend => append(stages, workshop, recipe, config)?,
            Policy::Replace => replace(stages, workshop, recipe, config)?,
        };
    }
    if let Some(recipe) = report_recipe(stages)? {
        let (new, corpus) = (upstream(stages)?, stages.corpus()?);
        let base = compared_base(stages)?;
        let config = &stages.experiment().vocab_report;
        workshop.make(recipe, |directory, _| {
            let mut vocabularies = vec![("new".to_owned(), Tokenizer::from_dir(&new.dir)?)];
            if let Some(base) = base {
                vocabularies.push(("base".to_owned(), Tokenizer::from_dir(&base.dir)?));
            }
            for compared in &config.compare {
                vocabularies.push((compared.name.clone(), compared.open()?));
            }
            let terms = config.terms.iter().map(|path| TermList::from_file(path));
            let terms: Vec<TermList> = terms.collect::<Result<_, _>>()?;
            let report = report(&vocabularies, &terms, held_out(&corpus.dir)?)?;
            report.write(directory)?;
            Ok(serde_json::to_value(report)?)
        })?;
    }
    Ok(())
}

/// The new vocabulary beside the base's and those that `[vocab.report]` names, on held-out documents.
pub(crate) fn report_recipe(stages: &Stages<'_>) -> anyhow::Result<Option<Recipe>> {
    let (base, config) = (compared_base(stages)?, &stages.experiment().vocab_report);
    if stages.experiment().corpus.is_none() || (base.is_none() && config.is_empty()) {
        return Ok(None);
    }
    let mut recipe = RecipeBuilder::new(REPORT_STAGE, REVISION)
        .input("corpus", &stages.corpus()?)
        .input("vocab", &upstream(stages)?);
    if let Some(base) = base {
        recipe = recipe.input("base", &base.tokenizer());
    }
    for compared in &config.compare {
        let rules = (&compared.name, compared.lowercase);
        recipe = recipe.input(&compared.name, &tokenizer_dir(&compared.path)?);
        recipe = recipe.config(&format!("rules of {}", compared.name), &rules);
    }
    for path in &config.terms {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        recipe = recipe.part(&name, hash_file(path)?.as_str().as_bytes());
    }
    Ok(Some(recipe.shown("report", config).finish()))
}

/// The base, where its vocabulary is not the one that is asked about.
fn compared_base(stages: &Stages<'_>) -> anyhow::Result<Option<Rc<BaseModel>>> {
    if stages.vocabulary()?.is_kept() { Ok(None) } else { stages.base() }
}

fn keep(
    stages: &Stages<'_>,
    workshop: &mut Workshop<'_>,
    recipe: Recipe,
) -> anyhow::Result<Artifact> {
    let base = base(stages)?;
    workshop.make(recipe, |directory, _| {
        let tokenizer = Tokenizer::from_dir(&base.dir)?;
        copy_tokenizer(&base.dir, directory)?;
        Ok(json!({ "kept": true, "rows": tokenizer.vocab().len() }))
    })
}

/// The base's rows and new ones behind them.
fn append(
    stages: &Stages<'_>,
    workshop: &mut Workshop<'_>,
    recipe: Recipe,
    config: &VocabConfig,
) -> anyhow::Result<Artifact> {
    let base = base(stages)?;
    let corpus = if config.words.is_none() { Some(stages.corpus()?) } else { None };
    workshop.make(recipe, |directory, context| {
        let base = Tokenizer::from_dir(&base.dir)?;
        let (tokenizer, summary) = match (&config.words, &corpus) {
            (Some(words), _) => {
                let (tokenizer, summary) = extend_by_words(words, &base, config)?;
                (tokenizer, serde_json::to_value(summary)?)
            }
            (None, Some(corpus)) => {
                let config = &with_mask_tokens(config, &corpus.dir);
                let documents = documents(&corpus.dir)?;
                let (tokenizer, summary) = extend(documents, &base, config, context)?;
                (tokenizer, serde_json::to_value(summary)?)
            }
            (None, None) => anyhow::bail!("`extend` without words and without a corpus"),
        };
        save_tokenizer(directory, &tokenizer, BERT_MAX_LENGTH)?;
        Ok(summary)
    })
}

fn replace(
    stages: &Stages<'_>,
    workshop: &mut Workshop<'_>,
    recipe: Recipe,
    config: &VocabConfig,
) -> anyhow::Result<Artifact> {
    let corpus = stages.corpus()?;
    workshop.make(recipe, |directory, context| {
        let config = &with_mask_tokens(config, &corpus.dir);
        let (vocab, summary) = train(documents(&corpus.dir)?, config, context)?;
        let (tokenizer, missing) = Tokenizer::new(vocab, config.tokenizer_options())
            .with_added_tokens(&config.mask_tokens);
        anyhow::ensure!(missing.is_empty(), "mask tokens without a row: {}", missing.join(", "));
        save_tokenizer(directory, &tokenizer, BERT_MAX_LENGTH)?;
        report(&[("new".to_owned(), tokenizer)], &[], held_out(&corpus.dir)?)?.write(directory)?;
        Ok(serde_json::to_value(summary)?)
    })
}

/// The config, with a row for each token that stands for identifiers in the corpus.
fn with_mask_tokens(config: &VocabConfig, corpus: &Path) -> VocabConfig {
    let mut config = config.clone();
    // A corpus of somebody else's has no manifest, and no mask tokens that we know of.
    let summary = Manifest::read(corpus).map(|manifest| manifest.summary).unwrap_or_default();
    let tokens = summary["mask_tokens"].as_array().into_iter().flatten();
    for token in tokens.filter_map(serde_json::Value::as_str) {
        if !config.mask_tokens.iter().any(|one| one == token) {
            config.mask_tokens.push(token.to_owned());
        }
    }
    config
}

/// The documents that no vocabulary was trained on.
fn held_out(
    corpus: &Path,
) -> anyhow::Result<impl Iterator<Item = Result<InputDocument, bimed_corpus::Error>> + use<>> {
    let is_held_out = |document: &Result<InputDocument, _>| {
        document.as_ref().map_or(true, |document| document.split == Split::Valid)
    };
    Ok(documents(corpus)?.filter(is_held_out))
}

/// Copies a tokenizer's files as they are; all are written where one is missing.
pub(crate) fn copy_tokenizer(from: &Path, to: &Path) -> anyhow::Result<()> {
    let files = tokenizer_files(from);
    if files != TOKENIZER_FILES {
        return Ok(save_tokenizer(to, &Tokenizer::from_dir(from)?, BERT_MAX_LENGTH)?);
    }
    for name in files {
        bimed_artifact::write_atomic(&to.join(&name), &fs::read(from.join(&name))?)?;
    }
    Ok(())
}

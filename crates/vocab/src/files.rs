//! Tokenizer files in and out: `vocab.txt`, `tokenizer.json`, `tokenizer_config.json`,
//! `special_tokens_map.json`.
//!
//! It knows the forms of Hugging Face and nothing of how text is split. Invariant: what it writes,
//! it reads back as the same tokenizer.

use std::collections::BTreeSet;
use std::path::Path;

use bimed_artifact::{write_atomic, write_json_atomic};
use bimed_checkpoint::find_vocab;
use fs_err as fs;
use serde_json::{Map, Value, json};

use crate::options::{MAX_WORD_CHARS, TokenizerOptions};
use crate::script::FOLD_TABLE;
use crate::tokenizer::Tokenizer;
use crate::vocabulary::{CONTINUATION, SPECIAL_TOKENS, Vocab};
use crate::{Error, Result};

/// The longest input of the published BERTs, in tokens: what a vocabulary without a model says.
///
/// Source: `max_position_embeddings` of `google-bert/bert-base-*`.
pub const BERT_MAX_LENGTH: usize = 512;

/// Writes the four files of `tokenizer` into `dir`, which must exist. `max_length` is the longest
/// input of the model they belong to, special tokens included.
///
/// With NFC or the folding table the class is `PreTrainedTokenizerFast`, for transformers 5
/// rebuilds the normaliser of `BertTokenizer` and would lose them; else it is `BertTokenizer`.
/// Every option is written out, for the class's defaults lower-case.
///
/// # Errors
/// When the disk refuses.
pub fn save_tokenizer(dir: &Path, tokenizer: &Tokenizer, max_length: usize) -> Result<()> {
    write_atomic(&dir.join("vocab.txt"), tokenizer.vocab().to_text().as_bytes())?;
    write_json_atomic(&dir.join("tokenizer.json"), &tokenizer_json(tokenizer))?;
    let config = tokenizer_config(tokenizer, max_length);
    write_json_atomic(&dir.join("tokenizer_config.json"), &config)?;
    write_json_atomic(&dir.join("special_tokens_map.json"), &Value::Object(special_tokens_map()))?;
    Ok(())
}

fn special_tokens_map() -> Map<String, Value> {
    ["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"]
        .into_iter()
        .zip(SPECIAL_TOKENS)
        .map(|(role, token)| (role.to_owned(), Value::from(token)))
        .collect()
}

/// Specials and added tokens by row.
fn added_tokens(tokenizer: &Tokenizer) -> Vec<(u32, String, bool)> {
    let vocab = tokenizer.vocab();
    let specials = SPECIAL_TOKENS.iter().map(|token| (*token, true));
    let added = tokenizer.added_tokens().map(|token| (token, false));
    let mut rows: Vec<_> = specials
        .chain(added)
        .filter_map(|(token, special)| Some((vocab.id(token)?, token.to_owned(), special)))
        .collect();
    rows.sort();
    rows
}

fn normalizer_json(options: TokenizerOptions) -> Value {
    let bert = json!({
        "type": "BertNormalizer",
        "clean_text": true,
        "handle_chinese_chars": options.tokenize_chinese_chars,
        "strip_accents": options.strip_accents,
        "lowercase": options.lowercase,
    });
    let mut steps = Vec::new();
    if options.fold {
        steps.extend(FOLD_TABLE.iter().map(
            |(from, to)| json!({ "type": "Replace", "pattern": { "String": from }, "content": to }),
        ));
    }
    if options.nfc {
        steps.push(json!({ "type": "NFC" }));
    }
    if steps.is_empty() {
        return bert;
    }
    steps.push(bert);
    json!({ "type": "Sequence", "normalizers": steps })
}

fn tokenizer_json(tokenizer: &Tokenizer) -> Value {
    let vocab = tokenizer.vocab();
    let specials = vocab.specials();
    let added: Vec<Value> = added_tokens(tokenizer)
        .into_iter()
        .map(|(id, content, special)| {
            json!({ "id": id, "content": content, "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false, "special": special })
        })
        .collect();
    let special = |id: &str| json!({ "SpecialToken": { "id": id, "type_id": 0 } });
    let second = json!({ "SpecialToken": { "id": "[SEP]", "type_id": 1 } });
    let sequence = |id: &str, type_id: u32| json!({ "Sequence": { "id": id, "type_id": type_id } });
    let template = |token: &str, id: u32| json!({ "id": token, "ids": [id], "tokens": [token] });
    let rows: Map<String, Value> =
        vocab.tokens().iter().zip(0u32..).map(|(token, id)| (token.clone(), id.into())).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": normalizer_json(tokenizer.options()),
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [special("[CLS]"), sequence("A", 0), special("[SEP]")],
            "pair": [special("[CLS]"), sequence("A", 0), special("[SEP]"), sequence("B", 1), second],
            "special_tokens": {
                "[CLS]": template("[CLS]", specials.cls),
                "[SEP]": template("[SEP]", specials.sep),
            },
        },
        "decoder": { "type": "WordPiece", "prefix": CONTINUATION, "cleanup": true },
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": CONTINUATION,
            "max_input_chars_per_word": MAX_WORD_CHARS,
            "vocab": rows,
        },
    })
}

fn tokenizer_config(tokenizer: &Tokenizer, max_length: usize) -> Value {
    let options = tokenizer.options();
    let own_normalizer = options.nfc || options.fold;
    let class = if own_normalizer { "PreTrainedTokenizerFast" } else { "BertTokenizer" };
    let decoder: Map<String, Value> = added_tokens(tokenizer)
        .into_iter()
        .map(|(id, content, special)| {
            let token = json!({ "content": content, "lstrip": false, "normalized": false,
                                "rstrip": false, "single_word": false, "special": special });
            (id.to_string(), token)
        })
        .collect();
    let mut config = json!({
        "tokenizer_class": class,
        "do_lower_case": options.lowercase,
        "strip_accents": options.strip_accents,
        "tokenize_chinese_chars": options.tokenize_chinese_chars,
        "model_max_length": max_length,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "clean_up_tokenization_spaces": true,
    });
    if let Value::Object(map) = &mut config {
        map.extend(special_tokens_map());
        map.insert("added_tokens_decoder".into(), Value::Object(decoder));
    }
    config
}

fn read_json(path: &Path) -> Result<Option<Value>> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = fs::read(path)?;
    let value = serde_json::from_slice(&bytes).map_err(|error| Error::Format {
        path: path.to_path_buf(),
        found: format!(
            "{:?} at line {}, column {}",
            error.classify(),
            error.line(),
            error.column()
        ),
        expected: "JSON".into(),
    })?;
    Ok(Some(value))
}

fn format_error(path: &Path, found: impl Into<String>, expected: impl Into<String>) -> Error {
    Error::Format { path: path.to_path_buf(), found: found.into(), expected: expected.into() }
}

impl Vocab {
    /// Reads the vocabulary of a model's directory: `vocab.txt`, the only text file with `vocab` in its
    /// name (`kmbert_vocab.txt`), or else `tokenizer.json`.
    ///
    /// # Errors
    /// As [`Vocab::new`], and when the directory holds neither file.
    pub fn from_dir(dir: &Path) -> Result<Self> {
        read_vocab(dir)
    }

    /// Reads the vocabulary of the model in `dir`, whose embedding has `rows` rows.
    ///
    /// # Errors
    /// As [`Vocab::from_dir`], and [`Error::EmbeddingRows`] when the two disagree.
    pub fn of_model(dir: &Path, rows: usize) -> Result<Self> {
        let vocab = read_vocab(dir)?;
        if vocab.len() != rows {
            let (path, tokens) = (dir.to_path_buf(), vocab.len());
            return Err(Error::EmbeddingRows { path, tokens, rows });
        }
        Ok(vocab)
    }
}

impl Tokenizer {
    /// Reads a Hugging Face tokenizer directory, ours or another's.
    ///
    /// # Errors
    /// When files are missing, are not of a BERT WordPiece tokenizer, or disagree.
    pub fn from_dir(dir: &Path) -> Result<Self> {
        read_tokenizer(dir)
    }
}

fn read_vocab(dir: &Path) -> Result<Vocab> {
    if let Some(text) = find_vocab(dir)? {
        return Vocab::from_file(&text);
    }
    let path = dir.join("tokenizer.json");
    let json = read_json(&path)?
        .ok_or_else(|| format_error(dir, "neither", "`vocab.txt` or `tokenizer.json`"))?;
    vocab_of_json(&path, &json)
}

fn vocab_of_json(path: &Path, json: &Value) -> Result<Vocab> {
    let model = &json["model"];
    let kind = model["type"].as_str().unwrap_or("WordPiece");
    let prefix = model["continuing_subword_prefix"].as_str().unwrap_or(CONTINUATION);
    let rows = model["vocab"].as_object();
    let (Some(rows), "WordPiece", CONTINUATION) = (rows, kind, prefix) else {
        return Err(format_error(
            path,
            format!("model `{kind}` with prefix `{prefix}`"),
            "`WordPiece` with prefix `##`",
        ));
    };
    let mut tokens = vec![String::new(); rows.len()];
    for (token, id) in rows {
        let slot = id.as_u64().and_then(|id| tokens.get_mut(usize::try_from(id).ok()?));
        match slot {
            Some(slot) => slot.clone_from(token),
            None => {
                let expected = format!("a row below {}", rows.len());
                return Err(format_error(path, format!("row `{id}` in `model.vocab`"), expected));
            }
        }
    }
    Vocab::new(tokens)
}

/// The tokenizer of a directory.
///
/// `tokenizer_config.json` decides on case and accents for the BERT classes, as it does in
/// transformers; for `PreTrainedTokenizerFast` and where it is silent, `tokenizer.json` does; where
/// neither speaks, as in the first releases of BioBERT and KM-BERT, the vocabulary itself.
fn read_tokenizer(dir: &Path) -> Result<Tokenizer> {
    let json_path = dir.join("tokenizer.json");
    let config_path = dir.join("tokenizer_config.json");
    let (json, config) = (read_json(&json_path)?, read_json(&config_path)?);
    let vocab = read_vocab(dir)?;
    if let Some(json) = &json
        && vocab_of_json(&json_path, json)? != vocab
    {
        return Err(format_error(&json_path, "another vocabulary", "that of `vocab.txt`"));
    }
    let config = config.unwrap_or(Value::Null);
    let from_json = json.as_ref().map(|json| options_of_json(&json_path, json)).transpose()?;
    let options = if config["tokenizer_class"] == "PreTrainedTokenizerFast" || config.is_null() {
        from_json
    } else {
        let lowercase = config["do_lower_case"].as_bool().or(from_json.map(|o| o.lowercase));
        lowercase.map(|lowercase| TokenizerOptions {
            lowercase,
            strip_accents: config["strip_accents"].as_bool().unwrap_or(lowercase),
            tokenize_chinese_chars: config["tokenize_chinese_chars"].as_bool().unwrap_or(true),
            nfc: from_json.is_some_and(|o| o.nfc),
            fold: from_json.is_some_and(|o| o.fold),
        })
    };
    let options = match options.or_else(|| options_of_vocab(&vocab)) {
        Some(options) => options,
        None => {
            let expected = "`do_lower_case` in `tokenizer_config.json`";
            return Err(format_error(dir, "no word on lower case", expected));
        }
    };
    check_hangul(dir, &vocab, options)?;
    let added = added_of_json(json.as_ref(), &config);
    let (tokenizer, missing) = Tokenizer::new(vocab, options).with_added_tokens(&added);
    match missing.first() {
        None => Ok(tokenizer),
        Some(token) => Err(format_error(
            &json_path,
            format!("added token `{token}` without a row"),
            "every added token in the vocabulary",
        )),
    }
}

/// What a vocabulary alone says: capital letters and whole Hangul syllables are rows that the uncased
/// tokenizer, which lower-cases and decomposes, could never reach. Nothing where it has neither.
fn options_of_vocab(vocab: &Vocab) -> Option<TokenizerOptions> {
    let is_cased = |c: char| c.is_uppercase() || ('가'..='힣').contains(&c);
    let reserved = |token: &str| token.starts_with('[') && token.ends_with(']');
    let mut tokens = vocab.tokens().iter().filter(|token| !reserved(token));
    tokens.any(|token| token.chars().any(is_cased)).then(TokenizerOptions::cased)
}

/// Whole syllables beside a tokenizer that takes them apart would never be reached.
fn check_hangul(dir: &Path, vocab: &Vocab, options: TokenizerOptions) -> Result<()> {
    let is_syllable = |c| ('가'..='힣').contains(&c);
    let rows = vocab.tokens().iter().filter(|token| token.contains(is_syllable)).count();
    if options.strip_accents && rows > 0 {
        return Err(Error::Decomposes { path: dir.to_path_buf(), rows });
    }
    Ok(())
}

fn added_of_json(json: Option<&Value>, config: &Value) -> Vec<String> {
    let list = json.and_then(|json| json["added_tokens"].as_array()).into_iter().flatten();
    let map = config["added_tokens_decoder"].as_object().into_iter().flat_map(|map| map.values());
    let contents = list.chain(map).filter_map(|token| token["content"].as_str());
    let others: BTreeSet<&str> =
        contents.filter(|content| !SPECIAL_TOKENS.contains(content)).collect();
    others.into_iter().map(str::to_owned).collect()
}

fn options_of_json(path: &Path, json: &Value) -> Result<TokenizerOptions> {
    let refuse =
        |found: String| format_error(path, found, "NFC, the folding table, BertNormalizer");
    let normalizer = &json["normalizer"];
    let steps = match normalizer["normalizers"].as_array() {
        Some(steps) => steps.iter().collect(),
        None => vec![normalizer],
    };
    let mut options = TokenizerOptions::cased();
    let mut folded = Vec::new();
    let mut bert = false;
    for step in steps {
        match step["type"].as_str() {
            Some("NFC") if !bert => options.nfc = true,
            Some("Replace") if !options.nfc && !bert => {
                let from = step["pattern"]["String"].as_str().unwrap_or_default();
                folded.push((from, step["content"].as_str().unwrap_or_default()));
            }
            Some("BertNormalizer") if !bert && step["clean_text"] != false => {
                bert = true;
                options.lowercase = step["lowercase"].as_bool().unwrap_or(true);
                options.strip_accents =
                    step["strip_accents"].as_bool().unwrap_or(options.lowercase);
                options.tokenize_chinese_chars =
                    step["handle_chinese_chars"].as_bool().unwrap_or(true);
            }
            other => return Err(refuse(format!("step `{}`", other.unwrap_or("null")))),
        }
    }
    if !folded.is_empty() {
        options.fold = true;
        if folded != FOLD_TABLE {
            return Err(refuse("another folding table".into()));
        }
    }
    if !bert {
        return Err(refuse("no `BertNormalizer`".into()));
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 4] = ["폐렴", "##상", "CT", "chest"];

    fn vocab(words: &[&str]) -> Vocab {
        let tokens = SPECIAL_TOKENS.iter().chain(words);
        Vocab::new(tokens.map(ToString::to_string).collect()).unwrap()
    }

    /// A tokenizer's directory with `vocab_txt` and `config` in place of what was saved.
    fn directory(vocab_txt: Option<&[u8]>, config: Option<Value>) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let tokenizer = Tokenizer::new(vocab(&WORDS), TokenizerOptions::default());
        save_tokenizer(dir.path(), &tokenizer, 512).unwrap();
        if let Some(text) = vocab_txt {
            fs::write(dir.path().join("vocab.txt"), text).unwrap();
            fs::remove_file(dir.path().join("tokenizer.json")).unwrap();
        }
        if let Some(config) = config {
            fs::write(dir.path().join("tokenizer_config.json"), config.to_string()).unwrap();
        }
        dir
    }

    fn check(dir: &tempfile::TempDir, expected: &str) {
        let error = Tokenizer::from_dir(dir.path()).unwrap_err();
        let found = error.to_string();
        assert!(found.contains(expected), "{found}");
    }

    #[test]
    fn what_is_saved_is_read_back() {
        let dir = directory(None, None);
        let tokenizer = Tokenizer::from_dir(dir.path()).unwrap();
        assert_eq!(*tokenizer.vocab(), vocab(&WORDS));
        assert_eq!(tokenizer.options(), TokenizerOptions::default());
    }

    #[test]
    fn vocabularies_with_faults_are_refused_with_the_reason() {
        let with = |text: &[u8]| directory(Some(text), None);
        let specials = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
        let text = format!("{specials}폐렴\nCT\n폐렴\n");
        check(&with(text.as_bytes()), "token `폐렴` is on row 7, expected only on row 5");
        check(&with("[PAD]\n[UNK]\n폐렴\n".as_bytes()), "special token `[CLS]` is missing");
        check(&with(format!("{specials}폐렴\n\nCT\n").as_bytes()), "row 6 holds nothing");
        let other = directory(None, None);
        fs::write(other.path().join("vocab.txt"), format!("{specials}CT\n")).unwrap();
        check(&other, "found another vocabulary, expected that of `vocab.txt`");
    }

    #[test]
    fn a_config_that_would_take_hangul_apart_is_refused() {
        let lower = json!({ "tokenizer_class": "BertTokenizer", "do_lower_case": true });
        let dir = directory(None, Some(lower));
        check(&dir, "takes Hangul apart into jamo, but 2 rows hold whole syllables");
        let error = Tokenizer::from_dir(dir.path()).unwrap_err();
        assert!(error.hint().is_some_and(|hint| hint.contains("strip_accents")));
        let kept = json!({
            "tokenizer_class": "BertTokenizer", "do_lower_case": true, "strip_accents": false,
        });
        let tokenizer = Tokenizer::from_dir(directory(None, Some(kept)).path()).unwrap();
        assert_eq!(tokenizer.encode("폐렴 CT"), [5, 1]);
    }

    #[test]
    fn a_vocabulary_that_is_not_its_models_is_refused_with_both_sizes() {
        let dir = directory(None, None);
        assert_eq!(Vocab::of_model(dir.path(), 9).unwrap(), vocab(&WORDS));
        let error = Vocab::of_model(dir.path(), 12).unwrap_err().to_string();
        assert!(error.ends_with("has 9 tokens, expected 12, the rows of the embedding"), "{error}");
    }
}

//! Texts that may not become tokens.

use rustc_hash::FxHashSet;

use crate::config::VocabConfig;
use crate::options::TokenizerOptions;
use crate::words::Splitter;
use crate::{Error, Result};

/// The texts of `deny` and `deny_file` as the tokenizer sees them, without `##`.
///
/// # Errors
/// When the file cannot be read, or an entry is not one word of two characters or more: one
/// character is of the alphabet. The message names the entry by its place, never by its text.
pub(crate) fn denied(config: &VocabConfig, options: TokenizerOptions) -> Result<FxHashSet<String>> {
    let mut denied = FxHashSet::default();
    let mut splitter = Splitter::default();
    let mut add = |entry: &str| {
        let mut words = Vec::new();
        splitter.run::<false>(entry, 0, &options, &mut |word, _| words.push(word.to_owned()));
        match words.pop() {
            Some(word) if words.is_empty() && word.chars().count() > 1 => {
                denied.insert(word);
                None
            }
            Some(_) if words.is_empty() => Some("one character"),
            Some(_) => Some("several words"),
            None => Some("no word"),
        }
    };
    let expected = "one word of two characters or more";
    for (index, entry) in config.deny.iter().enumerate() {
        if let Some(found) = add(entry) {
            let message = format!("is {found}, expected {expected}");
            return Err(Error::Config(vec![(format!("deny[{index}]"), message)]));
        }
    }
    if let Some(path) = &config.deny_file {
        for (line, entry) in crate::word_list::read_lines(path)? {
            if let Some(found) = add(&entry) {
                let found = format!("{found} in line {line}");
                return Err(Error::Format { path: path.clone(), found, expected: expected.into() });
            }
        }
    }
    Ok(denied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_taken_as_the_tokenizer_sees_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deny.txt");
        fs_err::write(&path, "# 이름\n홍길동\n\n\u{1111}\u{1168}렴\r\n").unwrap();
        let config = VocabConfig {
            deny: vec!["ＳＭＩＴＨ".into()],
            deny_file: Some(path.clone()),
            ..VocabConfig::default()
        };
        let mut found: Vec<String> =
            denied(&config, config.tokenizer_options()).unwrap().into_iter().collect();
        found.sort();
        assert_eq!(found, ["SMITH", "폐렴", "홍길동"]);
        fs_err::write(&path, "홍길동\n김 아무개\n").unwrap();
        let error = denied(&config, config.tokenizer_options()).unwrap_err().to_string();
        assert!(error.contains("several words in line 2") && !error.contains("아무개"), "{error}");
        for (entry, found) in [("김", "one character"), (" ", "no word"), ("a-b", "several words")]
        {
            let config = VocabConfig { deny: vec![entry.into()], ..VocabConfig::default() };
            assert!(
                denied(&config, config.tokenizer_options())
                    .unwrap_err()
                    .to_string()
                    .contains(found)
            );
        }
    }
}

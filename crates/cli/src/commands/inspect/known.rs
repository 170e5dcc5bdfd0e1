//! Which published model or vocabulary something looks like: by sizes and special tokens, and by the
//! hash of its vocabulary where the published one is at hand.
//!
//! Sources: Devlin et al. 2019 and the configs of `google-bert/bert-base-*` (BERT, M-BERT), Lee et
//! al. 2020 (BioBERT: the vocabulary of BERT base cased), the repository KU-RIAS/KM-BERT, the README of
//! the bilingual models (Jo et al. 2025); for MiniLM the files that `scripts/fetch_base.sh` brings.

use bimed_checkpoint::Dimensions;
use bimed_vocab::Vocab;

/// Layers, hidden size, heads, intermediate size, positions.
type Shape = [usize; 5];

/// A published model.
#[derive(Debug)]
struct Known {
    model: &'static str,
    vocabulary: &'static str,
    rows: usize,
    /// The rows of `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]` and `[MASK]`.
    specials: [u32; 5],
    /// None where the model itself is not of the kind that is read.
    shape: Option<Shape>,
}

const BASE: Option<Shape> = Some([12, 768, 12, 3072, 512]);
const FIRST: [u32; 5] = [0, 1, 2, 3, 4];
const GOOGLE: [u32; 5] = [0, 100, 101, 102, 103];

const KNOWN: &[Known] = &[
    Known {
        model: "M-BERT (BERT base, multilingual cased)",
        vocabulary: "M-BERT (BERT base, multilingual cased)",
        rows: 119_547,
        specials: GOOGLE,
        shape: BASE,
    },
    Known {
        model: "BioBERT or BERT base cased",
        vocabulary: "BERT base cased and BioBERT",
        rows: 28_996,
        specials: GOOGLE,
        shape: BASE,
    },
    Known {
        model: "KM-BERT or KR-BERT (characters)",
        vocabulary: "KR-BERT (characters) and KM-BERT",
        rows: 16_424,
        specials: FIRST,
        shape: BASE,
    },
    Known {
        model: "KM-BERT-vocab (KM-BERT with medical words)",
        vocabulary: "KM-BERT-vocab",
        rows: 26_986,
        specials: FIRST,
        shape: BASE,
    },
    Known {
        model: "a bilingual model of Jo et al. 2025 (bi-KM-BERT, bi-BioBERT, bi-M-BERT) or its like",
        vocabulary: "the bilingual models of Jo et al. 2025, or its like",
        rows: 45_000,
        specials: FIRST,
        shape: BASE,
    },
    Known {
        model: "BERT base uncased",
        vocabulary: "BERT base uncased",
        rows: 30_522,
        specials: GOOGLE,
        shape: BASE,
    },
    Known {
        model: "MiniLM with 6 layers (all-MiniLM-L6)",
        vocabulary: "BERT base uncased",
        rows: 30_522,
        specials: GOOGLE,
        shape: Some([6, 384, 12, 1536, 512]),
    },
    Known {
        model: "KcBERT base",
        vocabulary: "KcBERT",
        rows: 30_000,
        specials: FIRST,
        shape: Some([12, 768, 12, 3072, 300]),
    },
    Known {
        model: "KoELECTRA",
        vocabulary: "KoELECTRA",
        rows: 32_200,
        specials: FIRST,
        shape: None,
    },
];

/// The vocabularies that were at hand, by the hash of their `vocab.txt`: the one that
/// `bimed inspect` shows.
const HASHES: &[(&str, &str)] = &[
    (
        "b1e1c114c3a87fe1361cfe1cce1cce18dd89d9ee301d093b60b615b7026084c7",
        "BERT base cased and BioBERT",
    ),
    (
        "d077bd30c90f8e15aa74da9486a012d0406092955a4f65a9d359c51887370217",
        "M-BERT (BERT base, multilingual cased)",
    ),
    ("29a772c92cf4b7bc8f4c52d801f03d36ad8528ef964f856dadc4c4e7cb14e451", "BERT base uncased"),
    ("baf3af48665fcaa267774e47c634e563a13ae7a6dba6689d0a594c4b09df6471", "KcBERT"),
];

/// How sure a likeness is, in words.
pub(super) fn certainty(vocab: Option<&Vocab>) -> &'static str {
    let Some(vocab) = vocab else { return "by sizes" };
    let hash = vocab.hash();
    let published = HASHES.iter().find(|known| known.0 == hash.as_str()).map(|known| known.1);
    let like = vocabularies(vocab);
    let has_hash = |name: &&str| HASHES.iter().any(|known| known.1 == *name);
    match published {
        Some(name) if like.contains(&name) => "its vocabulary is the published one, row for row",
        _ if like.iter().any(has_hash) => {
            "by sizes and special tokens; its rows are NOT those of the published vocabulary"
        }
        _ => "by sizes and special tokens",
    }
}

/// The models of these sizes; with a vocabulary, only those with its special tokens.
pub(super) fn models(dimensions: &Dimensions, vocab: Option<&Vocab>) -> Vec<&'static str> {
    let shape = [
        dimensions.num_hidden_layers,
        dimensions.hidden_size,
        dimensions.num_attention_heads,
        dimensions.intermediate_size,
        dimensions.max_position_embeddings,
    ];
    let is_like = |known: &&Known| {
        known.shape == Some(shape)
            && known.rows == dimensions.vocab_size
            && vocab.is_none_or(|vocab| known.specials == vocab.specials().rows())
    };
    KNOWN.iter().filter(is_like).map(|known| known.model).collect()
}

/// The vocabularies of this size with these special tokens.
pub(super) fn vocabularies(vocab: &Vocab) -> Vec<&'static str> {
    let is_like =
        |known: &&Known| known.rows == vocab.len() && known.specials == vocab.specials().rows();
    let mut found: Vec<&str> = KNOWN.iter().filter(is_like).map(|known| known.vocabulary).collect();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dimensions(vocab_size: usize, shape: Shape) -> Dimensions {
        let [layers, hidden, heads, intermediate, positions] = shape;
        Dimensions {
            vocab_size,
            hidden_size: hidden,
            num_hidden_layers: layers,
            num_attention_heads: heads,
            intermediate_size: intermediate,
            max_position_embeddings: positions,
            type_vocab_size: 2,
            num_labels: None,
        }
    }

    /// A vocabulary of `rows` rows with `[UNK]` to `[MASK]` from row `first` on.
    fn vocab(rows: usize, first: usize) -> Vocab {
        let mut tokens: Vec<String> = (0..rows).map(|row| format!("토큰{row}")).collect();
        tokens[0] = "[PAD]".into();
        for (offset, token) in bimed_vocab::SPECIAL_TOKENS[1..].iter().enumerate() {
            tokens[first + offset] = (*token).into();
        }
        Vocab::new(tokens).unwrap()
    }

    #[test]
    fn sizes_and_special_tokens_tell_models_apart() {
        let base = BASE.unwrap();
        let check = |vocab_size, shape, vocab: Option<&Vocab>, expected: &[&str]| {
            assert_eq!(models(&dimensions(vocab_size, shape), vocab), expected, "{vocab_size}");
        };
        check(119_547, base, None, &["M-BERT (BERT base, multilingual cased)"]);
        check(28_996, base, Some(&vocab(28_996, 100)), &["BioBERT or BERT base cased"]);
        // A vocabulary of the same size whose special tokens are elsewhere.
        check(30_522, base, Some(&vocab(30_522, 1)), &[]);
        check(30_522, [6, 384, 12, 1536, 512], None, &["MiniLM with 6 layers (all-MiniLM-L6)"]);
        check(28_996, [2, 128, 2, 512, 512], None, &[]);
    }

    #[test]
    fn a_vocabulary_of_the_right_size_with_other_rows_is_told_apart() {
        assert_eq!(certainty(None), "by sizes");
        assert_eq!(certainty(Some(&vocab(45_000, 1))), "by sizes and special tokens");
        assert!(certainty(Some(&vocab(28_996, 100))).contains("NOT those of the published"));
    }

    #[test]
    fn a_vocabulary_that_two_models_share_is_named_once() {
        assert_eq!(vocabularies(&vocab(30_522, 100)), ["BERT base uncased"]);
        assert_eq!(vocabularies(&vocab(16_424, 1)), ["KR-BERT (characters) and KM-BERT"]);
        assert!(vocabularies(&vocab(320, 1)).is_empty());
    }
}

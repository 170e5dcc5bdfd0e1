//! Training: determinism, quotas, floors, scripts.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::convert::Infallible;

use bimed_artifact::{Cancel, Context, Silent};
use bimed_vocab::{
    Error, InputDocument, OnShortfall, Quota, Split, Tokenizer, Vocab, VocabConfig, VocabSummary,
    train,
};

const TEXTS: &[&str] = &[
    "흉부 CT상 우상엽에 결절 소견 보임. 폐렴 의심되어 추적 검사를 권고함.",
    "The chest CT shows a nodule in the right upper lobe; follow-up is recommended.",
    "환자는 3일 전부터 기침과 발열이 있었고 lung에 consolidation이 보였다.",
    "Patient reported cough and fever for 3 days, and lung consolidation was seen.",
    "복부 CT상 간경변 소견, liver에 mass는 없음. 20231204 등록번호 12345678.",
    "Abdominal CT: liver cirrhosis without a mass. Dose was 10mg twice daily.",
    "폐렴(肺炎) 환자에게 항생제를 투여하였다. 체온 38.5℃, 혈압 120/80.",
    "약물은 하루 2회 10㎎ 복용하고 [DATE]에 외래에서 다시 검사한다.",
];

fn documents() -> Vec<InputDocument> {
    // Words in the making: every stem with every ending, some more often than others.
    const STEMS: &str =
        "폐렴 간염 위암 결절 종괴 혈압 기침 발열 복통 두통 nodul carcin hepat pneumon fibros";
    const ENDINGS: &str = "은 이 을 에서 으로 이며 소견 환자 ar oma itis ia is ic al";
    let pick = |words: &'static str, at: usize| words.split(' ').cycle().nth(at).unwrap();
    let of = |(index, text): (usize, &&str)| InputDocument {
        text: (0..40).fold(format!("{text}\n"), |text, at| {
            let (stem, ending) = (pick(STEMS, at * at + index), pick(ENDINGS, at * 3 + index / 4));
            text + stem + ending + " "
        }),
        source: "notes".into(),
        language: "mixed".into(),
        ..InputDocument::default()
    };
    TEXTS.iter().cycle().take(64).enumerate().map(of).collect()
}

fn config() -> VocabConfig {
    VocabConfig {
        size: 340,
        seed_hangul: false,
        coverage: 1.0,
        mask_tokens: vec!["[DATE]".into()],
        ..VocabConfig::default()
    }
}

fn run(
    documents: Vec<InputDocument>,
    config: &VocabConfig,
) -> Result<(Vocab, VocabSummary), Error> {
    let cancel = Cancel::new();
    let documents = documents.into_iter().map(Ok::<_, Infallible>);
    train(documents, config, &Context::new(&Silent, &cancel))
}

#[test]
fn threads_and_the_order_of_documents_do_not_matter() {
    let expected = run(documents(), &config()).unwrap();
    assert_eq!(expected.0.len(), 340);
    for (threads, step) in [(1, 1), (2, 1), (8, 1), (1, 13), (2, 27), (8, 63)] {
        let documents = documents();
        let shuffled = (0..64).map(|index| documents[index * step % 64].clone()).collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| run(shuffled, &config())).unwrap();
        assert_eq!(found.0.to_text(), expected.0.to_text(), "{threads} threads, step {step}");
        assert_eq!(found.1, expected.1);
    }
}

fn scripts(token: &str) -> [bool; 3] {
    let text = token.strip_prefix("##").unwrap_or(token);
    [
        text.chars().any(|c| ('가'..='힣').contains(&c)),
        text.chars().any(|c| c.is_ascii_alphabetic()),
        text.chars().any(|c| c.is_ascii_digit()),
    ]
}

#[test]
fn no_token_crosses_scripts_and_numbers_stay_short() {
    let (vocab, _) = run(documents(), &config()).unwrap();
    for token in &vocab.tokens()[6..] {
        assert!(scripts(token).iter().filter(|has| **has).count() <= 1, "{token}");
        let digits = token.chars().filter(char::is_ascii_digit).count();
        assert!(digits <= 4 && token.chars().count() <= 22, "{token}");
    }
    let (tokenizer, _) =
        Tokenizer::new(vocab, Default::default()).with_added_tokens(&["[DATE]".into()]);
    let tokens = |text: &str| -> Vec<String> {
        let ids = tokenizer.encode(text);
        ids.iter().map(|&id| tokenizer.vocab().token(id).to_owned()).collect()
    };
    assert_eq!(tokens("CT상 [DATE]에"), ["CT", "##상", "[DATE]", "에"]);
}

#[test]
fn quotas_are_met_exactly() {
    let quota = Quota { hangul: 200, latin: 110 };
    let config =
        VocabConfig { quota: Some(quota), on_shortfall: OnShortfall::Error, size: 348, ..config() };
    let (vocab, summary) = run(documents(), &config).unwrap();
    let rows = summary.rows_by_script;
    assert_eq!((rows.hangul, rows.latin, vocab.len()), (200, 110, 348));
    assert_eq!((summary.reserved_rows, summary.missing_rows), (0, 0));
    // What is left is a ceiling: digits and signs give what they have, and the rest is held free.
    let (vocab, summary) = run(documents(), &VocabConfig { size: 4000, ..config.clone() }).unwrap();
    let rows = summary.rows_by_script;
    assert_eq!((rows.hangul, rows.latin, vocab.len()), (200, 110, 4000));
    let reserved = vocab.tokens().iter().filter(|token| token.starts_with("[unused")).count();
    assert_eq!((reserved, summary.missing_rows), (summary.reserved_rows, 0));
    assert_eq!(vocab.composition().reserved, reserved);
    assert_eq!(vocab.token(3999), format!("[unused{}]", reserved - 1));
    let quota = Quota { hangul: 3000, latin: 110 };
    let error = run(documents(), &VocabConfig { size: 4000, quota: Some(quota), ..config });
    assert!(matches!(error, Err(Error::Shortfall { what: "hangul", expected: 3000, .. })));
}

#[test]
fn specials_come_first_and_rows_are_what_the_longest_match_uses() {
    let (vocab, summary) = run(documents(), &config()).unwrap();
    let first = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DATE]"];
    assert_eq!(vocab.tokens()[..6], first);
    assert!(summary.pruned_rows > 0 && summary.prune_rounds > 0);
    assert_eq!(summary.dead_rows, 0);
    let tokenizer = Tokenizer::new(vocab.clone(), Default::default());
    let mut used = vec![false; vocab.len()];
    for document in documents() {
        tokenizer.encode(&document.text).into_iter().for_each(|id| used[id as usize] = true);
    }
    let merged = (6 + summary.alphabet_rows)..vocab.len();
    let dead: Vec<&str> = merged.filter(|id| !used[*id]).map(|id| vocab.token(id as u32)).collect();
    assert!(dead.is_empty(), "{dead:?}");
    let unused = used[6..6 + summary.alphabet_rows].iter().filter(|used| !**used).count();
    assert_eq!((summary.unused_alphabet_rows, summary.unused_seeded_rows), (unused, 0));
    // No bare row for a character that never begins a word.
    assert!(vocab.id("##견").is_some() && vocab.id("견").is_none());
}

#[test]
fn a_shortfall_is_an_error_or_counted() {
    let large = VocabConfig { size: 5000, ..config() };
    let (vocab, summary) = run(documents(), &large).unwrap();
    assert_eq!(vocab.len() + summary.missing_rows, 5000);
    let strict = VocabConfig { on_shortfall: OnShortfall::Error, ..large };
    let error = run(documents(), &strict).unwrap_err();
    assert!(matches!(error, Error::Shortfall { expected: 5000, .. }), "{error}");
}

#[test]
fn quotas_that_run_dry_are_refilled() {
    let quota = Quota { hangul: 150, latin: 90 };
    let config = VocabConfig { quota: Some(quota), ..config() };
    let (vocab, summary) = run(documents(), &config).unwrap();
    assert_eq!(vocab.len(), 340);
    let refilled = summary.refilled;
    assert!(refilled.hangul + refilled.latin > 0, "{refilled:?}");
    assert_eq!((summary.missing_rows, refilled.other), (0, 0));
}

#[test]
fn every_seeded_syllable_has_both_rows() {
    let config = VocabConfig { seed_hangul: true, size: 5000, ..config() };
    let (vocab, _) = run(documents(), &config).unwrap();
    for token in ["가", "##가", "힝", "##힝", "쎈", "##쎈"] {
        assert!(vocab.id(token).is_some(), "{token}");
    }
}

#[test]
fn hanja_of_daily_use_are_seeded_as_words_of_their_own() {
    let config = VocabConfig { seed_hanja: true, size: 3000, ..config() };
    let (vocab, summary) = run(documents(), &config).unwrap();
    // The text has 肺 and 炎 alone.
    assert!(["肺", "炎", "癌", "得"].iter().all(|token| vocab.id(token).is_some()));
    assert!(vocab.id("##癌").is_none());
    assert!(summary.unused_seeded_rows > 2400, "{summary:?}");
    let tokenizer = Tokenizer::new(vocab, Default::default());
    assert!(!tokenizer.encode("肝癌 癌").contains(&tokenizer.vocab().specials().unk));
}

#[test]
fn rare_characters_take_the_rows_that_no_merge_deserves_more() {
    // Ten times 뷁, twice 쾅: rare among all others.
    let mut all = documents();
    for document in &mut all[..2] {
        document.text += " 뷁 뷁 뷁 뷁 뷁 쾅";
    }
    let build = |size| {
        let config = VocabConfig { coverage: 0.9, size, ..config() };
        run(all.clone(), &config).unwrap()
    };
    let (small, summary) = build(220);
    assert!(summary.lowest_merge_count > 2 && summary.lowest_merge_count <= 10, "{summary:?}");
    assert!(small.id("뷁").is_some() && small.id("쾅").is_none());
    assert!(summary.dropped_chars > 0 && summary.unknown_segments > 0);
    let (large, summary) = build(400);
    assert!(large.id("쾅").is_some() && summary.rare_char_rows > 0);
    assert_eq!((summary.dropped_chars, summary.unknown_segment_occurrences), (0, 0));
    assert_eq!((summary.dead_rows, summary.unknown_segments), (0, 0));
    let unk = large.specials().unk;
    let (tokenizer, _) =
        Tokenizer::new(large, Default::default()).with_added_tokens(&["[DATE]".into()]);
    assert!(all.iter().all(|document| !tokenizer.encode(&document.text).contains(&unk)));
}

#[test]
fn private_words_need_their_floor_of_groups() {
    let note = |patient: usize, text: &str, private| InputDocument {
        text: text.into(),
        group: Some(format!("patient {patient}")),
        private,
        ..InputDocument::default()
    };
    let build = |patients: usize, private: bool| {
        // Many notes, but of few patients.
        let notes = (0..60).map(|index| note(index % patients, "흉부고유명 rarename", private));
        let all = documents().into_iter().chain(notes).collect();
        let (vocab, summary) = run(all, &config()).unwrap();
        (vocab.id("흉부고유명").is_some() && vocab.id("rarename").is_some(), summary.counts)
    };
    let (known, counts) = build(10, true);
    assert!(!known);
    assert_eq!((counts.private_types_below_floor, counts.private_words_below_floor), (2, 120));
    assert!(build(11, true).0);
    assert!(build(1, false).0);
}

#[test]
fn every_merged_token_is_of_words_that_eleven_patients_share() {
    // Of each patient two notes, and a word that only a few others have.
    let mut notes = documents();
    for (index, note) in notes.iter_mut().enumerate() {
        note.private = true;
        note.group = Some(format!("patient {}", index % 32));
        note.text += &format!(" 드문병명{} rareword{}", "가나다라".repeat(index % 5), index % 5);
    }
    let (vocab, summary) = run(notes.clone(), &config()).unwrap();
    assert!(summary.counts.private_types_below_floor > 0);
    for token in &vocab.tokens()[6 + summary.alphabet_rows..] {
        let text = token.strip_prefix("##").unwrap_or(token);
        let holders = notes.iter().filter(|note| note.text.contains(text));
        let patients: BTreeSet<&Option<String>> = holders.map(|note| &note.group).collect();
        assert!(patients.len() >= 11, "{token}: {}", patients.len());
    }
}

#[test]
fn rounds_that_end_too_early_leave_dead_rows_and_say_so() {
    let (_, summary) = run(documents(), &VocabConfig { prune_rounds: 0, ..config() }).unwrap();
    assert!(summary.dead_rows > 0 && summary.pruned_rows == 0, "{summary:?}");
}

#[test]
fn denied_words_become_no_token_in_any_place() {
    let deny = ["nodul", "폐렴", "소견"].map(String::from).to_vec();
    let (free, _) = run(documents(), &config()).unwrap();
    let (vocab, summary) = run(documents(), &VocabConfig { deny, ..config() }).unwrap();
    assert!(["nodul", "폐렴", "##소견"].iter().all(|token| free.id(token).is_some()));
    for token in vocab.tokens() {
        let text = token.strip_prefix("##").unwrap_or(token);
        assert!(!["nodul", "폐렴", "소견"].contains(&text), "{token}");
    }
    assert_eq!((vocab.len(), summary.denied), (340, 3));
}

#[test]
fn text_without_words_is_refused() {
    let error = run(vec![], &config()).unwrap_err();
    assert!(matches!(error, Error::NoWords { documents: 0, .. }), "{error}");
    let held_out = InputDocument { split: Split::Valid, ..documents().remove(0) };
    let error = run(vec![held_out], &config()).unwrap_err();
    assert!(matches!(error, Error::NoWords { valid_documents: 1, .. }), "{error}");
    let private = InputDocument { private: true, ..documents().remove(0) };
    let error = run(vec![private], &config()).unwrap_err();
    assert!(matches!(error, Error::NoWords { private_types_below_floor: 1.., .. }), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("min_groups")));
}

#[test]
fn quotas_beyond_the_size_are_refused() {
    let quota = Quota { hangul: 200, latin: 135 };
    let error = run(documents(), &VocabConfig { quota: Some(quota), ..config() }).unwrap_err();
    assert!(matches!(&error, Error::Config(faults) if faults[0].0 == "quota"), "{error}");
}

#[test]
fn held_out_documents_are_not_read() {
    let held_out = InputDocument {
        text: "비밀단어 ".repeat(100),
        split: Split::Valid,
        ..InputDocument::default()
    };
    let all = documents().into_iter().chain([held_out]).collect();
    let (vocab, summary) = run(all, &config()).unwrap();
    assert_eq!((vocab.id("비밀단어"), summary.counts.valid_documents), (None, 1));
}

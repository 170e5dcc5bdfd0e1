//! What is measured of documents, and what is chosen by it: filters, quotas, the mix.

use super::*;
use crate::{FilterConfig, Profile, TokensPerChar};

fn ten(name: &str, count: usize) -> String {
    let words = |n: usize| (0..10).map(|w| format!("{name}{n}번{w}")).collect::<Vec<_>>().join(" ");
    (0..count).map(|number| line(&words(number), number)).collect()
}

#[test]
fn a_mix_takes_its_words_by_temperature() {
    let mut fixture = Fixture::new();
    fixture.source("큰것", Format::Jsonl, ten("소견", 900).as_bytes());
    fixture.source("small", Format::Jsonl, ten("노트", 100).as_bytes());
    fixture.config.mix.max_words = Some(1000);
    let words = |fixture: &Fixture, out: &str| {
        let (summary, _) = fixture.build(out).unwrap();
        summary.sources.iter().map(|source| source.words).collect::<Vec<_>>()
    };
    assert_eq!(words(&fixture, "flat"), [900, 100]);
    fixture.config.mix.temperature = 2.0;
    assert_eq!(words(&fixture, "warm"), [750, 250]);
}

#[test]
fn temperature_without_a_limit_is_a_fault() {
    let mut fixture = Fixture::new();
    fixture.source("기록", Format::Jsonl, notes().as_bytes());
    fixture.config.mix.temperature = 2.0;
    let error = fixture.build("out").unwrap_err().to_string();
    assert_eq!(error, "`mix.temperature` is `2`, expected `max_words` or `max_tokens` beside it");
    fixture.config.mix.max_tokens = Some(100);
    fixture.config.mix.max_words = Some(100);
    fixture.sources[0].max_words = Some(5);
    fixture.sources[0].max_tokens = Some(5);
    let Error::Config { faults } = fixture.build("out").unwrap_err() else { panic!() };
    assert_eq!(faults.len(), 2, "{faults:?}");
}

#[test]
fn quotas_in_tokens_count_what_each_script_makes() {
    let mut fixture = Fixture::new();
    // Ten words of eight letters a document, all of them other words.
    let of = |letter: fn(usize) -> char| -> String {
        let word = |n: usize| (0..8).map(|at| letter(n * 7 + at * at * 3)).collect::<String>();
        let text = |n: usize| (0..10).map(|w| word(n * 10 + w)).collect::<Vec<_>>().join(" ");
        (0..200).map(|number| line(&text(number), number)).collect()
    };
    let hangul = of(|n| char::from_u32(0xAC00 + (n % 11_000) as u32).unwrap());
    let latin = of(|n| char::from(b'a' + (n * n % 26) as u8));
    fixture.source("한글", Format::Jsonl, hangul.as_bytes());
    fixture.source("latin", Format::Jsonl, latin.as_bytes());
    fixture.config.deduplicate.exact = false;
    fixture.config.deduplicate.near = false;
    fixture.config.mix.tokens_per_char =
        TokensPerChar { hangul: 0.5, latin: 0.25, ..TokensPerChar::default() };
    let (summary, _) = fixture.build("all").unwrap();
    let tokens = |summary: &CorpusSummary| -> Vec<u64> {
        summary.sources.iter().map(|source| source.tokens).collect()
    };
    assert_eq!(tokens(&summary), [200 * 40, 200 * 20]);
    assert_eq!(summary.tokens, summary.languages.iter().map(|row| row.tokens).sum::<u64>());
    // A source's own quota first, then half of each by the mix.
    fixture.sources[0].max_tokens = Some(4000);
    fixture.config.mix.max_tokens = Some(4000);
    let (summary, _) = fixture.build("some").unwrap();
    assert_eq!(tokens(&summary), [2000, 2000]);
    let documents: Vec<u64> = summary.sources.iter().map(|source| source.documents).collect();
    assert_eq!(documents, [50, 100]);
    fixture.sources[1].max_tokens = Some(1_000_000);
    fixture.config.mix.max_tokens = None;
    let (summary, _) = fixture.build("short").unwrap();
    assert_eq!(summary.warnings, ["source `latin` has 4000 of its quota of 1000000 tokens"]);
}

#[test]
fn keys_that_are_sorted_in_several_goes_decide_alike() {
    let mut fixture = Fixture::new();
    fixture.source("기록", Format::Jsonl, notes().repeat(2).as_bytes()).max_words = Some(4000);
    // A tenth of the words changed: near copies of the first.
    let near = notes().replace("0번", "0번째").replace("10x", "10y");
    fixture.source("가까운", Format::Jsonl, near.as_bytes());
    fixture.config.mix.max_tokens = Some(40_000);
    let (summary, _) = fixture.build("one").unwrap();
    let rejected: BTreeSet<Reason> =
        summary.sources.iter().flat_map(|source| source.rejected.keys().copied()).collect();
    let expected = [Reason::ExactDuplicate, Reason::NearDuplicate, Reason::OverQuota];
    assert_eq!(rejected, expected.into());
    let cancel = Cancel::new();
    let context = Context::new(&Silent, &cancel);
    let (root, files) = (fixture.dir.path(), scan(&fixture.sources).unwrap());
    let mut job =
        Job::new(&fixture.sources, &fixture.config, files, &root.join("units-2")).unwrap();
    job.sorted_bytes = 700;
    job.map(Share::ALL, &context).unwrap();
    job.merge(&root.join("many"), &context).unwrap();
    job.finalize(&root.join("many"), &context).unwrap();
    assert_eq!(listing(&root.join("many")), listing(&root.join("one")));
}

#[test]
fn signals_and_sections_are_stored_with_the_document() {
    let text = "주소: 기침\nC.C> cough\nIMPRESSION: pneumonia 의심됨.\n폐렴 CT 폐렴 CT 폐렴 CT\n";
    let mut fixture = Fixture::new();
    fixture.source("기록", Format::Jsonl, line(text, 1).as_bytes());
    let (_, documents) = fixture.build("out").unwrap();
    let document = &documents[0];
    let names: Vec<&str> = document.sections.iter().map(|one| one.0.as_str()).collect();
    assert_eq!(names, ["C.C", "IMPRESSION"]);
    let (_, start, end) = document.sections[1];
    assert!(document.text[start..end].starts_with("IMPRESSION: pneumonia"));
    assert_eq!(end, document.text.len());
    // 주소 기침 | C.C cough IMPRESSION pneumonia | 의심됨 폐렴 | CT | 폐렴 | CT | 폐렴 | CT.
    assert_eq!(document.switch_points, (100.0 * 7.0 / 13.0_f64 * 100.0).round() / 100.0);
    assert_eq!(document.hangul_word_ratio, (6.0 / 13.0 * 1e4_f64).round() / 1e4);
    assert!(document.quality.letter_share > 0.8, "{:?}", document.quality);
    assert_eq!(document.quality.ended_line_share, 0.25);
}

#[test]
fn each_profile_drops_what_is_not_its_kind_and_notes_survive_all_but_repetition() {
    let repeated = "광고 배너 click here\n".repeat(8) + "끝에 한 줄이 다르다";
    let index: String =
        (1..12).map(|page| format!("폐렴 pneumonia {}, {page}\n", page * 7)).collect();
    let labs: String = (1..12)
        .map(|at| format!("Na 13{} K 4.{at} Hb {}.1 혈압 12{at}/80\n", at % 10, 9 + at))
        .collect();
    let note: String =
        (0..6).map(|n| format!("C.C> 기침\nchest CT상 결절 {n} mm, f/u 요함.\n")).collect();
    let reasons = |profile: Profile, filter: FilterConfig, text: &str| -> Vec<Reason> {
        let mut fixture = Fixture::new();
        let source = fixture.source("글", Format::Jsonl, line(text, 1).as_bytes());
        (source.profile, source.filter) = (profile, filter);
        (fixture.config.deduplicate.exact, fixture.config.deduplicate.near) = (false, false);
        let (units, out) = (fixture.dir.path().join("units"), fixture.dir.path().join("out"));
        let summary =
            build_small(&fixture.sources, &fixture.config, &units, &out, &Silent).unwrap();
        summary.sources[0].rejected.keys().copied().collect()
    };
    let none = FilterConfig::default();
    for (profile, text, expected) in [
        (Profile::General, &repeated, vec![Reason::Repetitive]),
        (Profile::Clinical, &repeated, vec![Reason::Repetitive]),
        (Profile::PaperCt, &repeated, vec![]),
        (Profile::Textbook, &index, vec![Reason::Listing]),
        (Profile::Clinical, &index, vec![]),
        (Profile::Web, &labs, vec![Reason::FewLetters]),
        (Profile::Clinical, &labs, vec![]),
        (Profile::Clinical, &note, vec![]),
        (Profile::Web, &"짧은 글 short text, 이백 자보다 짧다.".to_owned(), vec![Reason::TooShort]),
    ] {
        assert_eq!(reasons(profile, none, text), expected, "{profile:?}");
    }
    let own = FilterConfig { max_top_line_share: Some(1.0), ..none };
    assert_eq!(reasons(Profile::General, own, &repeated), []);
    for (filter, expected) in [
        (FilterConfig { min_switch_points: Some(90.0), ..none }, Reason::FewSwitches),
        (FilterConfig { max_switch_points: Some(1.0), ..none }, Reason::ManySwitches),
        (FilterConfig { max_digit_share: Some(0.01), ..none }, Reason::ManyDigits),
        (FilterConfig { min_mean_word_chars: Some(9.0), ..none }, Reason::OddWords),
        (FilterConfig { min_ended_line_share: Some(0.9), ..none }, Reason::UnfinishedLines),
        (FilterConfig { max_repeated_line_share: Some(0.1), ..none }, Reason::Repetitive),
    ] {
        assert_eq!(reasons(Profile::PaperCt, none, &note), []);
        assert_eq!(reasons(Profile::Clinical, filter, &note), [expected]);
    }
}

//! Tests of the whole pipeline.

mod chosen;
mod clinical;
mod governance;
mod interrupted;
mod planted;
mod resumed;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use bimed_artifact::{Cancel, Progress, Silent};
use fs_err as fs;
use tempfile::TempDir;

use super::*;
use crate::{Document, Provenance, Split, read_documents};

pub(crate) fn test_document(text: &str) -> Document {
    Document {
        doc_id: String::new(),
        source: "s".into(),
        access_tier: Default::default(),
        split: Split::Train,
        split_group: String::new(),
        text: text.into(),
        language: "ko".into(),
        domain: String::new(),
        genre: String::new(),
        hangul_ratio: 1.0,
        hangul_word_ratio: 1.0,
        switch_points: 0.0,
        num_chars: 0,
        num_words: 0,
        sentences: bimed_text::sentences(text),
        sections: Vec::new(),
        quality: Default::default(),
        provenance: Provenance {
            file: String::new(),
            file_blake3: String::new(),
            record: 0,
            chunk: 0,
            extractor: String::new(),
            encoding: String::new(),
            partial: false,
        },
        identifiers: Default::default(),
        duplicates: 0,
    }
}

/// Small enough that every test has several units, and files of several parts.
const SMALL_UNIT_BYTES: u64 = 8_000;

struct Fixture {
    dir: TempDir,
    sources: Vec<SourceConfig>,
    config: CorpusConfig,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, sources: Vec::new(), config: CorpusConfig::default() }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn source(&mut self, name: &str, format: Format, bytes: &[u8]) -> &mut SourceConfig {
        let path = self.write(name, bytes);
        self.sources.push(SourceConfig {
            name: name.into(),
            path,
            format,
            licence: "CC0-1.0".into(),
            text: vec!["text".into()],
            ..SourceConfig::default()
        });
        self.sources.last_mut().unwrap()
    }

    fn build(&self, out: &str) -> Result<(CorpusSummary, Vec<Document>)> {
        let units = self.dir.path().join("units");
        let out = self.dir.path().join(out);
        let summary = build_small(&self.sources, &self.config, &units, &out, &Silent)?;
        let documents = read_documents(&out)?.collect::<Result<Vec<_>>>()?;
        Ok((summary, documents))
    }
}

/// As [`build`], in small units.
fn build_small(
    sources: &[SourceConfig],
    config: &CorpusConfig,
    units: &Path,
    out: &Path,
    progress: &dyn Progress,
) -> Result<CorpusSummary> {
    let cancel = Cancel::new();
    let context = Context::new(progress, &cancel);
    check_configs(sources, config)?;
    let job =
        Job::new(sources, config, scan(sources)?, units)?.with_unit_bytes(SMALL_UNIT_BYTES)?;
    job.map(Share::ALL, &context)?;
    job.merge(out, &context)?;
    job.finalize(out, &context)
}

fn line(text: &str, patient: usize) -> String {
    format!("{}\n", serde_json::json!({ "text": text, "patient": format!("p{patient}") }))
}

/// Notes of 40 patients, several each, in Korean, English and both.
fn notes() -> String {
    (0..200)
        .map(|number| {
            let body: Vec<String> = (0..30)
                .map(|word| match number % 3 {
                    0 => format!("소견{}번", word * 31 + number),
                    1 => format!("finding{}x", word * 31 + number),
                    _ => format!("CT상{}", word * 31 + number),
                })
                .collect();
            line(&body.join(" "), number % 40)
        })
        .collect()
}

fn listing(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = walkdir::WalkDir::new(dir).into_iter().flatten();
    files
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let name = entry.path().strip_prefix(dir).unwrap().to_string_lossy().into_owned();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn every_record_is_in_a_shard_or_under_a_reason() {
    let mut fixture = Fixture::new();
    let long = "환자는 폐렴으로 입원하여 chest CT를 시행하였고 양측 하엽에 경화가 관찰되었다.";
    let text = [
        line(&format!("{long}\u{200B} ８㎎"), 1),
        line(&format!("{long}  8mg"), 2),
        line("짧다", 3),
        line("", 4),
        line("Пациент поступил в больницу с пневмонией", 5),
        "{\"text\": \"끝나지 않은 record\n".to_owned(),
        "{\"note\": \"no text field\"}\n".to_owned(),
    ]
    .concat();
    fixture.source("notes.jsonl", Format::Jsonl, text.as_bytes());
    let (summary, documents) = fixture.build("out").unwrap();
    assert_eq!(documents.len(), 1);
    assert_eq!(documents[0].text, format!("{long} 8mg"));
    assert_eq!((documents[0].duplicates, documents[0].language.as_str()), (1, "mixed"));
    let joined: String = documents[0]
        .sentences
        .iter()
        .map(|(start, end)| &documents[0].text[*start..*end])
        .collect();
    assert_eq!(joined, documents[0].text);
    let source = &summary.sources[0];
    let expected = [
        Reason::BadRecord,
        Reason::MissingField,
        Reason::Empty,
        Reason::TooShort,
        Reason::DroppedLanguage,
        Reason::ExactDuplicate,
    ];
    assert_eq!(source.rejected, expected.map(|reason| (reason, 1)).into());
    assert_eq!(source.records, source.documents + source.rejected.values().sum::<u64>());
    assert_eq!(summary.folds.0.len(), 3, "{:?}", summary.folds);
    let files = listing(&fixture.dir.path().join("out"));
    assert!(
        files.contains_key("rejected/exact_duplicate.jsonl.zst") && files.contains_key("card.md")
    );
    let card = String::from_utf8(files["card.md"].clone()).unwrap();
    assert!(card.contains("too_short 1") && !card.contains("폐렴"), "{card}");
}

#[test]
fn one_and_two_threads_write_the_same_bytes() {
    let mut fixture = Fixture::new();
    fixture.source("notes.jsonl", Format::Jsonl, notes().repeat(2).as_bytes()).max_words =
        Some(4000);
    fixture.source(
        "book.txt",
        Format::Txt,
        "제1장 폐렴의 진단과 chest CT 소견.\n".repeat(3).as_bytes(),
    );
    fixture.config.shard =
        crate::ShardConfig { shard_bytes: 60_000, frame_bytes: 7_000, level: 3, parquet: false };
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let out = format!("out-{threads}");
        pool.install(|| fixture.build(&out)).unwrap();
        listing(&fixture.dir.path().join(out))
    };
    let (one, two) = (run(1), run(2));
    assert_eq!(one, two);
    assert!(one.keys().filter(|name| name.starts_with("shard-")).count() > 1, "{:?}", one.keys());
}

#[test]
fn a_patient_is_in_one_split_across_sources() {
    let mut fixture = Fixture::new();
    for name in ["discharge.jsonl", "radiology.jsonl"] {
        let text = notes().replace("소견", name).replace("finding", name).replace("CT상", name);
        fixture.source(name, Format::Jsonl, text.as_bytes()).group = Some("patient".into());
    }
    fixture.config.split.valid_fraction = 0.3;
    let (summary, documents) = fixture.build("out").unwrap();
    let groups = |split: Split| -> BTreeSet<&str> {
        let chosen = documents.iter().filter(|one| one.split == split);
        chosen.map(|one| one.split_group.as_str()).collect()
    };
    let (train, valid) = (groups(Split::Train), groups(Split::Valid));
    assert!(!valid.is_empty() && train.is_disjoint(&valid));
    assert_eq!(train.len() + valid.len(), 40, "two sources share their patients");
    assert_eq!(summary.languages.iter().map(|row| row.documents).sum::<u64>(), summary.documents);
}

#[test]
fn evaluation_sentences_are_kept_out() {
    let mut fixture = Fixture::new();
    let sentence = "환자는 흉부 CT에서 폐렴이 의심되어 입원하였다.";
    let texts = [
        format!("경과 기록이다. {sentence} 이후 호전되었다."),
        "다른 내용의 긴 문서이다. It is kept.".into(),
    ];
    let lines: String = texts.iter().enumerate().map(|(n, text)| line(text, n)).collect();
    fixture.source("notes.jsonl", Format::Jsonl, lines.as_bytes());
    fixture.config.decontaminate =
        vec![fixture.write("sts.tsv", format!("score\ta\n3.0\t{sentence}\n").as_bytes())];
    let (summary, documents) = fixture.build("out").unwrap();
    assert_eq!(documents.len(), 1);
    assert_eq!(summary.decontamination.unwrap().dropped, 1);
    fixture.config.decontaminate =
        vec![fixture.write("other.tsv", "3.0\t전혀 관계 없는 평가 문장입니다.\n".as_bytes())];
    let (summary, _) = fixture.build("out-2").unwrap();
    assert_eq!(summary.warnings, ["decontamination found no document to drop"]);
}

#[test]
fn a_quota_limits_a_source_and_a_shortfall_is_a_warning() {
    let mut fixture = Fixture::new();
    fixture.source("notes.jsonl", Format::Jsonl, notes().as_bytes()).max_words = Some(900);
    let (summary, _) = fixture.build("out").unwrap();
    assert_eq!(summary.words, 900);
    fixture.sources[0].max_words = Some(1_000_000);
    let (summary, _) = fixture.build("out-2").unwrap();
    assert_eq!(summary.warnings.len(), 1);
}

#[test]
fn a_step_that_compares_nothing_is_an_error() {
    let mut fixture = Fixture::new();
    fixture.source("notes.jsonl", Format::Jsonl, line("짧다", 1).as_bytes());
    let error = fixture.build("out").unwrap_err();
    assert!(matches!(error, Error::ZeroEffect { step: "deduplicate.exact" }), "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn a_source_that_is_broken_in_large_part_is_refused() {
    let mut fixture = Fixture::new();
    let line = |index: usize| {
        let open = if index.is_multiple_of(4) { "{{" } else { "{" };
        format!("{open}\"text\": \"환자 {index}번은 chest CT에서 nodule이 보여 추적 관찰함.\"}}\n")
    };
    let lines: String = (0..40).map(line).collect();
    fixture.source("기록", Format::Jsonl, lines.as_bytes());
    let error = fixture.build("a").unwrap_err();
    assert_eq!(
        error.to_string(),
        "source `기록`: 10 of 40 records are broken (10 bad_record), expected at most 5%"
    );
    assert!(error.hint().unwrap().contains("corpus.max_broken"));
    fixture.config.max_broken = 0.25;
    fixture.config.deduplicate.near = false;
    let (summary, documents) = fixture.build("b").unwrap();
    assert_eq!((summary.documents, documents.len()), (30, 30));
}

#[test]
fn a_truncated_gz_keeps_its_complete_records_and_says_partial() {
    let mut fixture = Fixture::new();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(notes().as_bytes()).unwrap();
    let bytes = gz.finish().unwrap();
    fixture.source("notes.jsonl.gz", Format::Jsonl, &bytes[..bytes.len() * 2 / 3]);
    let (summary, documents) = fixture.build("out").unwrap();
    assert!(documents.len() > 50 && documents.len() < 200);
    assert!(summary.partial);
    assert_eq!(summary.sources[0].rejected, [(Reason::Truncated, 1)].into());
}

#[test]
fn a_gz_of_another_checksum_keeps_its_records_and_says_partial() {
    let mut fixture = Fixture::new();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(notes().as_bytes()).unwrap();
    let mut bytes = gz.finish().unwrap();
    // The checksum and the length are the last eight bytes.
    let checksum = bytes.len() - 8;
    bytes[checksum] ^= 1;
    fixture.source("notes.jsonl.gz", Format::Jsonl, &bytes);
    let (summary, documents) = fixture.build("out").unwrap();
    // Where the stream is wrong is not known: what it ends with is not trusted.
    assert_eq!(documents.len(), 199);
    assert_eq!(summary.sources[0].rejected, [(Reason::Truncated, 1)].into());
    assert!(summary.partial);
    assert_eq!(summary.sources[0].partial_files, ["notes.jsonl.gz"]);
}

#[test]
fn of_records_with_one_id_the_first_stays() {
    let note = |id: &str, text: &str| {
        format!(
            "{}\n",
            serde_json::json!({ "id": id, "text": format!("환자 {text} chest CT를 시행함.") })
        )
    };
    let book = "결절이 관찰되어 follow-up CT를 권한다. ".repeat(100);
    let lines = [
        note("가1", "첫째"),
        note("b2", &book),
        note("가1", "둘째"),
        note("b2", "셋째"),
        "{\"text\": \"식별자가 없는 note, 흉부 CT\"}\n".to_owned(),
        "{\"text\": \"식별자가 없는 다른 note, 흉부 CT\"}\n".to_owned(),
    ];
    let mut fixture = Fixture::new();
    fixture.config.deduplicate.near = false;
    fixture.config.chunk_chars = 1000;
    let notes = fixture.source("노트", Format::Jsonl, lines.concat().as_bytes());
    (notes.id, notes.min_chars) = (Some("id".into()), Some(1));
    fixture.source("영상", Format::Jsonl, note("가1", "판독").as_bytes()).id = Some("id".into());
    let (summary, documents) = fixture.build("out").unwrap();
    let rejected: Vec<_> = summary.sources.iter().map(|one| one.rejected.clone()).collect();
    assert_eq!(rejected, [[(Reason::DuplicateId, 2)].into(), Default::default()]);
    let mut kept: Vec<_> =
        documents.iter().map(|one| (one.source.as_str(), one.provenance.record)).collect();
    assert!(kept.iter().filter(|one| **one == ("노트", 1)).count() > 1);
    kept.dedup();
    assert_eq!(kept, [("노트", 0), ("노트", 1), ("노트", 4), ("노트", 5), ("영상", 0)]);
    assert!(summary.warnings[0].contains("2 documents have the `id`"), "{:?}", summary.warnings);
}

#[test]
fn a_record_that_cannot_be_decoded_is_refused_and_the_others_stand() {
    let mut fixture = Fixture::new();
    let mut lines = notes().into_bytes();
    lines.extend(b"{\"text\": \"\xFF\xFE\xFD chest CT, all of it in no encoding\"}\n");
    fixture.source("notes.jsonl", Format::Jsonl, &lines);
    let (summary, documents) = fixture.build("out").unwrap();
    assert_eq!((documents.len(), summary.sources[0].replaced_chars), (200, 3));
    assert_eq!(summary.sources[0].rejected, [(Reason::BadEncoding, 1)].into());
}

#[test]
fn config_faults_are_reported_together_before_anything_is_written() {
    let mut fixture = Fixture::new();
    fixture.source("a", Format::Txt, b"x").licence = String::new();
    fixture.source("a", Format::Csv, b"x").text.clear();
    fixture.config.split.valid_fraction = 2.0;
    fixture.config.decontaminate = vec!["/none/eval.tsv".into()];
    let error = fixture.build("out").unwrap_err();
    let Error::Config { faults } = error else { panic!("{error}") };
    assert_eq!(faults.len(), 5, "{faults:?}");
    assert!(listing(&fixture.dir.path().join("out")).is_empty());
}

#[cfg(unix)]
#[test]
fn files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let mut fixture = Fixture::new();
    fixture.source("notes.jsonl", Format::Jsonl, notes().repeat(2).as_bytes());
    fixture.build("out").unwrap();
    let files = walkdir::WalkDir::new(fixture.dir.path().join("out")).into_iter().flatten();
    for entry in files.filter(|entry| entry.file_type().is_file()) {
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_damaged_shard_is_named_without_its_text() {
    let dir = tempfile::tempdir().unwrap();
    let lines = zstd::encode_all("{\"doc_id\": \"홍길동 secret\"}\n".as_bytes(), 3).unwrap();
    fs::write(dir.path().join("shard-00000.jsonl.zst"), lines).unwrap();
    let error = read_documents(dir.path()).unwrap().next().unwrap().unwrap_err();
    let shown = error.to_string();
    assert!(shown.contains("shard-00000.jsonl.zst:1:") && !shown.contains("secret"), "{shown}");
}

#[test]
fn a_source_without_its_fields_is_an_error_and_a_file_without_them_is_counted() {
    let mut fixture = Fixture::new();
    fixture.source("notes/a.xml", Format::Xml, "<x><note>폐렴 secret</note></x>".as_bytes());
    fixture.sources[0].path = fixture.dir.path().join("notes");
    let error = fixture.build("out").unwrap_err().to_string();
    assert!(error.contains("found elements [\"note\", \"x\"], expected [\"text\"]"), "{error}");
    assert!(!error.contains("secret"));
    fixture.write(
        "notes/b.xml",
        "<x><text>환자는 폐렴으로 입원하여 chest CT를 시행하였다.</text></x>".as_bytes(),
    );
    let (summary, documents) = fixture.build("out").unwrap();
    assert_eq!((documents.len(), summary.sources[0].records), (1, 2));
    assert_eq!(summary.sources[0].rejected, [(Reason::MissingField, 1)].into());
}

//! Planted identifiers are looked for in everything that builds leave behind: corpora, units, journals,
//! temporary files, errors, what processes print, and what a reader says when it panics.

use std::io::Read as _;
use std::process::Command;

use bimed_artifact::{AccessTier, CommitStep, Unit};

use super::*;

/// A name, a resident's number, a phone, a record number, and its bearer's number in a column.
const PLANTED: [&str; 5] = ["홍길동", "900101-1234567", "010-9876-5432", "77123456", "PAT-555-777"];

/// Records about one person, some whole, some too short, some broken, between others.
fn records() -> String {
    let about =
        "환자명: 홍길동 주민등록번호: 900101-1234567 연락처: 010-9876-5432 등록번호: 77123456";
    let note = |number: usize| {
        let text = format!(
            "{about}\nChest CT상 결절 {number} mm, f/u 요함. 소견{number}번 finding{number}x"
        );
        record(&text, number)
    };
    let record_of_one = "성명: 홍길동".to_owned();
    let broken = format!("{{\"text\": \"{about}\", \"patient\": \"PAT-555-777\"\n");
    let mut lines: Vec<String> = (0..60).map(note).collect();
    lines.push(record(&record_of_one, 60));
    lines.push(broken);
    lines.concat()
}

fn record(text: &str, number: usize) -> String {
    let record = serde_json::json!({
        "id": format!("77123456-{number}"), "patient": "PAT-555-777",
        "time": "2026-01-02", "text": text,
    });
    format!("{record}\n")
}

fn fixture(dir: &Path) -> (Vec<SourceConfig>, CorpusConfig) {
    let path = dir.join("sources/기록.jsonl");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    if !path.exists() {
        fs::write(&path, records()).unwrap();
    }
    let source = SourceConfig {
        name: "기록".into(),
        path,
        format: Format::Jsonl,
        licence: "institutional".into(),
        access_tier: AccessTier::Private,
        text: vec!["text".into()],
        id: Some("id".into()),
        group: Some("patient".into()),
        time: Some("time".into()),
        copy_forward: true,
        ..SourceConfig::default()
    };
    (vec![source], CorpusConfig::default())
}

/// What of the planted is in `bytes`, in frames of zstd within it too.
fn found_in(bytes: &[u8]) -> Vec<&'static str> {
    let mut all = bytes.to_vec();
    let magic = [0x28, 0xB5, 0x2F, 0xFD];
    for at in bytes.windows(4).enumerate().filter(|(_, four)| *four == magic).map(|one| one.0) {
        if let Ok(decoder) = zstd::Decoder::new(&bytes[at..]) {
            let _ = decoder.single_frame().read_to_end(&mut all);
        }
    }
    let holds = |planted: &&str| all.windows(planted.len()).any(|part| part == planted.as_bytes());
    PLANTED.into_iter().filter(holds).collect()
}

/// Looks through all files below `dir` but for the sources, their names too.
fn check_files(dir: &Path, after: &str) {
    let mut looked_at = 0;
    for (name, bytes) in listing(dir) {
        if name.starts_with("sources/") {
            continue;
        }
        looked_at += 1;
        assert_eq!(found_in(name.as_bytes()), Vec::<&str>::new(), "{after}: the name of `{name}`");
        assert_eq!(found_in(&bytes), Vec::<&str>::new(), "{after}: `{name}`");
    }
    assert!(looked_at > 0, "{after}: nothing was left behind");
}

fn check_error(error: &Error, after: &str) {
    let shown = format!("{error} {error:?} {}", error.hint().unwrap_or_default());
    assert_eq!(found_in(shown.as_bytes()), Vec::<&str>::new(), "{after}: {shown}");
}

fn build_here(
    dir: &Path,
    change: impl FnOnce(&mut Vec<SourceConfig>, &mut CorpusConfig),
) -> Result<()> {
    let (mut sources, mut config) = fixture(dir);
    change(&mut sources, &mut config);
    build_small(&sources, &config, &dir.join("units"), &dir.join("out"), &Silent).map(|_| ())
}

#[test]
fn what_is_planted_is_found_where_it_is() {
    assert_eq!(found_in(records().as_bytes()), PLANTED);
    let packed = zstd::encode_all(records().as_bytes(), 3).unwrap();
    assert_eq!(found_in(&[b"before".as_slice(), &packed, b"behind"].concat()), PLANTED);
}

#[test]
fn a_build_leaves_no_planted_identifier_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    build_here(dir.path(), |_, _| {}).unwrap();
    assert!(dir.path().join("out/rejected/bad_record.jsonl.zst").exists());
    check_files(dir.path(), "a build");
    // What is counted and not masked stays in the text: the search would find it.
    build_here(dir.path(), |sources, _| {
        sources[0].identifiers = Some(crate::IdentifierMode::Report);
    })
    .unwrap();
    let shard = fs::read(dir.path().join("out/shard-00000.jsonl.zst")).unwrap();
    assert_eq!(found_in(&shard), PLANTED[..4]);
}

#[test]
fn failing_builds_name_no_planted_identifier() {
    let dir = tempfile::tempdir().unwrap();
    let fail = |after: &str, change: &dyn Fn(&mut Vec<SourceConfig>, &mut CorpusConfig)| {
        let error = build_here(dir.path(), |sources, config| change(sources, config)).unwrap_err();
        check_error(&error, after);
        check_files(dir.path(), after);
    };
    fail("no such field", &|sources, _| sources[0].text = vec!["note".into()]);
    fail("nothing is long enough", &|sources, _| sources[0].min_chars = Some(1_000_000));
    // What is counted and not masked stays in the units; the refusal names none of it.
    let error = build_here(dir.path(), |sources, config| {
        config.identifiers.max_reported = Some(0);
        sources[0].identifiers = Some(crate::IdentifierMode::Report);
    })
    .unwrap_err();
    assert!(matches!(error, Error::TooManyIdentifiers { .. }), "{error}");
    check_error(&error, "too many identifiers");
}

#[test]
fn a_row_that_is_taken_for_a_header_is_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let row = "홍길동,900101-1234567,010-9876-5432,77123456\n";
    let table = dir.path().join("sources/표.csv");
    fs::create_dir_all(table.parent().unwrap()).unwrap();
    fs::write(&table, row.repeat(40)).unwrap();
    let keyed = dir.path().join("sources/묶음.json");
    fs::write(&keyed, "{\"77123456\": {\"홍길동\": 1}, \"PAT-555-777\": {\"홍길동\": 2}}").unwrap();
    for (path, format, record) in
        [(table, Format::Csv, None), (keyed, Format::Jsonl, Some(".".to_owned()))]
    {
        let error = build_here(dir.path(), |sources, _| {
            let source = &mut sources[0];
            (source.path, source.format, source.record) = (path.clone(), format, record);
        })
        .unwrap_err();
        check_error(&error, "a wrong header");
        assert!(matches!(error, Error::MissingFields { .. }), "{error}");
    }
}

/// Ends the process at the n-th step of a commit.
struct Fuse(std::sync::atomic::AtomicUsize);

impl Progress for Fuse {
    fn begin(&self, _step: &str, _total: Option<u64>, _unit: Unit) {}
    fn advance(&self, _amount: u64) {}
    fn status(&self, _figures: &str) {}
    fn note(&self, _line: &str) {}
    fn end(&self) {}
    fn committing(&self, _step: CommitStep) {
        if self.0.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 1 {
            std::process::abort();
        }
    }
}

const DIRECTORY: &str = "BIMED_TEST_DIRECTORY";
const POINT: &str = "BIMED_TEST_POINT";

#[test]
#[ignore = "a process that another test starts"]
fn child() {
    let Some(dir) = std::env::var_os(DIRECTORY) else { return };
    let point = std::env::var(POINT).unwrap().parse().unwrap();
    let dir = Path::new(&dir);
    let (sources, config) = fixture(dir);
    let fuse = Fuse(std::sync::atomic::AtomicUsize::new(point));
    build_small(&sources, &config, &dir.join("units"), &dir.join("out"), &fuse).unwrap();
}

#[test]
fn a_killed_build_leaves_no_planted_identifier_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let (sources, _) = fixture(dir.path());
    assert!(sources[0].path.exists());
    let mut killed = 0;
    for point in 1..40 {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "build::tests::planted::child"])
            .env(DIRECTORY, dir.path())
            .env(POINT, point.to_string())
            .output()
            .unwrap();
        killed += usize::from(!output.status.success());
        check_files(dir.path(), &format!("a kill at {point}"));
        assert_eq!(found_in(&[output.stdout, output.stderr].concat()), Vec::<&str>::new());
        if output.status.success() {
            break;
        }
    }
    assert!(killed >= 8, "{killed} kills");
}

/// A reader that meets what it did not expect, with a document in its message, as slices of strings
/// have.
#[test]
#[ignore = "a process that another test starts"]
fn panicking_reader() {
    if std::env::var_os(DIRECTORY).is_some() {
        std::io::stdout().write_all(records().as_bytes()).unwrap();
        panic!("byte index 4 is not a char boundary of `{}`", records());
    }
}

#[cfg(all(unix, feature = "documents"))]
#[test]
fn a_reader_that_panics_says_nothing_of_its_document() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let (_, _) = fixture(dir.path());
    let program = dir.path().join("sources/worker");
    let test = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\n{DIRECTORY}=x exec '{}' --ignored --exact --nocapture \
         build::tests::planted::panicking_reader\n",
        test.display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let said = Command::new(&program).stdin(std::process::Stdio::null()).output().unwrap();
    assert_eq!(found_in(&said.stderr), PLANTED, "the reader does say it");
    let mut chart = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    chart.start_file("word/document.xml", zip::write::SimpleFileOptions::default()).unwrap();
    let chart = chart.finish().unwrap().into_inner();
    fs::write(dir.path().join("sources/차트.docx"), chart).unwrap();
    build_here(dir.path(), |sources, config| {
        let mut chart = sources[0].clone();
        (chart.name, chart.path) = ("차트".into(), dir.path().join("sources/차트.docx"));
        (chart.format, chart.copy_forward) = (Format::Auto, false);
        (chart.group, chart.id, chart.time) = (None, None, None);
        config.readers.worker = Some(program.clone());
        config.max_broken = 1.0;
        sources.push(chart);
    })
    .unwrap();
    let rejected: Vec<String> = listing(&dir.path().join("out/rejected")).into_keys().collect();
    assert!(rejected.contains(&"reader_failed.jsonl.zst".to_owned()), "{rejected:?}");
    check_files(dir.path(), "a panic");
}

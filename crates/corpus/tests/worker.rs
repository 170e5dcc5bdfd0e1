//! What becomes of the text that a worker holds when it panics, is killed or breaks off: nothing.
//!
//! The program starts itself: as the builder of a corpus, whose output is searched, and as its worker.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, and a worker may say what it likes"
)]

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode};

use bimed_artifact::{AccessTier, Cancel, Context, Silent};
use bimed_corpus::{CorpusConfig, Format, SourceConfig, WORKER_ARGUMENT, build};
use fs_err as fs;

const BUILD_ARGUMENT: &str = "build-one-corpus";
const MODE: &str = "BIMED_TEST_WORKER";
const PLANTED: [&str; 3] = ["홍길동", "800101-1234567", "MRN7654321"];
const NOTE: &str = "%PDF-1.4 성명: 홍길동 주민등록번호 800101-1234567 등록번호: MRN7654321 환자는 흉부 CT를 \
    시행하였다. No acute finding.";

/// How a worker ends, and the reason under which its file is listed then.
const ENDS: [(&str, &str); 6] = [
    ("answers", ""),
    ("panics", "reader_failed"),
    ("aborts", "reader_failed"),
    ("is killed", "reader_failed"),
    ("breaks off", "reader_failed"),
    ("hangs", "timed_out"),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some(WORKER_ARGUMENT) => work(&std::env::var(MODE).unwrap_or_default()),
        Some(BUILD_ARGUMENT) => build_one(Path::new(&arguments[2]), Path::new(&arguments[3])),
        // How a test program is asked what it holds.
        Some("--list") => say("workers: test"),
        _ => ENDS.iter().for_each(|(mode, reason)| check(mode, reason)),
    }
    ExitCode::SUCCESS
}

fn say(line: &str) {
    println!("{line}");
}

/// Reads the request and the file, and ends as `mode` says.
fn work(mode: &str) {
    let mut request = String::new();
    std::io::stdin().read_to_string(&mut request).unwrap();
    if request.contains("TestEngines") {
        return say(r#"{"Ok":{"Engines":[{"engine":"pdftotext","is_found":true,"failed":[]}]}}"#);
    }
    let request: serde_json::Value = serde_json::from_str(&request).unwrap();
    let path = request["request"]["Read"]["path"].as_str().unwrap();
    let text = fs::read_to_string(path).unwrap();
    let answer = serde_json::json!({ "Ok": { "Text": text } }).to_string();
    match mode {
        "answers" => say(&answer),
        "panics" => panic!("{text}"),
        "aborts" => {
            eprintln!("{text}");
            std::process::abort();
        }
        "is killed" => {
            std::io::stdout().write_all(&answer.as_bytes()[..60]).unwrap();
            std::io::stdout().flush().unwrap();
            let id = std::process::id().to_string();
            panic!("{:?}", Command::new("kill").args(["-9", &id]).status());
        }
        "breaks off" => {
            std::io::stdout().write_all(&answer.as_bytes()[..answer.len() - 4]).unwrap();
            eprintln!("{text}");
        }
        _ => {
            say(&answer);
            std::thread::sleep(std::time::Duration::from_secs(60));
        }
    }
}

/// Builds a corpus of `input` under `out`, with this program as its worker.
fn build_one(input: &Path, out: &Path) {
    let source = SourceConfig {
        name: "기록".into(),
        path: input.into(),
        licence: "none".into(),
        access_tier: AccessTier::Private,
        format: Format::Pdf,
        ..SourceConfig::default()
    };
    let mut config = CorpusConfig::default();
    config.deduplicate.exact = false;
    config.deduplicate.near = false;
    config.readers.timeout_seconds = 2;
    config.readers.worker = Some(std::env::current_exe().unwrap());
    let context = Context { progress: &Silent, cancel: &Cancel::default() };
    match build(&[source], &config, &out.join("units"), &out.join("corpus"), &context) {
        Ok(summary) => say(&format!("{summary:?}")),
        Err(error) => say(&format!("{error} {error:?} {:?}", error.hint())),
    }
}

fn check(mode: &str, reason: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (input, out) = (dir.path().join("input"), dir.path().join("out"));
    fs::create_dir_all(&input).unwrap();
    fs::create_dir_all(&out).unwrap();
    fs::write(input.join("a.pdf"), NOTE).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(BUILD_ARGUMENT).args([&input, &out]).env(MODE, mode).current_dir(&out);
    let done = command.env("TMPDIR", &out).output().unwrap();
    assert!(done.status.success(), "{mode}");
    let said = [done.stdout, done.stderr].concat();
    let all = String::from_utf8_lossy(&said).into_owned() + &everything(&out);
    for planted in PLANTED {
        assert!(!all.contains(planted), "a worker that {mode} lets {planted} through");
    }
    let expected = if reason.is_empty() { "[NAME]".to_owned() } else { format!("\"{reason}\"") };
    assert!(all.contains(&expected), "a worker that {mode}: {expected} is nowhere");
}

/// Everything under `dir`, names too, unpacked.
fn everything(dir: &Path) -> String {
    let mut all = String::new();
    for entry in walkdir::WalkDir::new(dir).into_iter().map(Result::unwrap) {
        all += &entry.path().to_string_lossy();
        if entry.path().is_file() {
            let bytes = fs::read(entry.path()).unwrap();
            let unpacked = zstd::decode_all(bytes.as_slice()).unwrap_or(bytes);
            all += &String::from_utf8_lossy(&unpacked);
        }
    }
    all
}

//! Planted identifiers of a person appear in nothing that the program prints or leaves unpacked: builds
//! that end, that fail and that are killed, and its hidden reader.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test may use the standard file functions, and fails by panicking"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// A name, a resident's number, a phone, a record number, and the bearer's number in a column.
const PLANTED: [&str; 5] = ["홍길동", "900101-1234567", "010-9876-5432", "77123456", "PAT-555-777"];

const ABOUT: &str =
    "환자명: 홍길동 주민등록번호: 900101-1234567 연락처: 010-9876-5432 등록번호: 77123456";

fn write_inputs(directory: &Path) {
    let note = |number: usize| {
        format!(
            "{{\"id\": \"77123456-{number}\", \"patient\": \"PAT-555-777\", \"text\": \"{ABOUT} chest CT상 \
             결절 {number} mm, f/u 요함. 소견{number}번 finding{number}x\"}}\n"
        )
    };
    let broken = format!("{{\"text\": \"{ABOUT}\n");
    let lines: String = (0..20_000).map(note).chain([broken]).collect();
    std::fs::write(directory.join("notes.jsonl"), lines).unwrap();
    let row = "홍길동,900101-1234567,010-9876-5432,77123456\n";
    std::fs::write(directory.join("headless.csv"), row.repeat(30)).unwrap();
    std::fs::write(directory.join("e.toml"), experiment("notes.jsonl", "jsonl", "text", ""))
        .unwrap();
}

fn experiment(path: &str, format: &str, text: &str, more: &str) -> String {
    format!(
        r#"
[experiment]
name = "planted"
seed = 3
output = "out"
store = "store"

[[corpus.source]]
name = "notes"
path = "{path}"
format = "{format}"
text = ["{text}"]
id = "id"
group = "patient"
licence = "the hospital's"
access_tier = "private"
approval = "IRB-2026-014"
{more}
"#
    )
}

fn bimed(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bimed"));
    command.args(arguments).current_dir(directory).output().unwrap()
}

fn check_said(output: &Output, after: &str) {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    check_bytes(&said, after);
}

fn check_bytes(bytes: &[u8], place: &str) {
    for planted in PLANTED {
        let is_there = bytes.windows(planted.len()).any(|part| part == planted.as_bytes());
        assert!(!is_there, "{place} holds a planted identifier, number {:?}", planted.len());
    }
}

/// Looks through files and their names; gives how many.
fn check_files(directory: &Path) -> usize {
    let mut looked_at = 0;
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    for entry in entries {
        let path = entry.unwrap().path();
        check_bytes(path.to_str().unwrap().as_bytes(), "a name");
        if path.is_dir() {
            looked_at += check_files(&path);
        } else {
            // A kill may have renamed it meanwhile.
            check_bytes(&std::fs::read(&path).unwrap_or_default(), &path.display().to_string());
            looked_at += 1;
        }
    }
    looked_at
}

fn check_store(directory: &Path) -> usize {
    check_files(&directory.join("store")) + check_files(&directory.join("out"))
}

#[test]
fn builds_that_end_fail_or_are_killed_show_no_planted_identifier() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    write_inputs(directory);
    let mut killed = 0;
    for milliseconds in [20, 60, 120, 250, 500] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bimed"));
        command.args(["corpus", "e.toml"]).current_dir(directory);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        let _ = child.kill();
        let output = child.wait_with_output().unwrap();
        killed += usize::from(output.status.code().is_none());
        check_said(&output, "a killed build");
        check_store(directory);
    }
    assert!(killed > 0);
    for arguments in
        [&["corpus", "e.toml"] as &[&str], &["corpus", "e.toml", "--json", "--dry-run"]]
    {
        let output = bimed(directory, arguments);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        check_said(&output, "a build");
    }
    assert!(check_store(directory) > 4);
    // A dry run beside a corpus that is there leaves nothing.
    let made = std::fs::read_dir(directory.join("store/corpus")).unwrap();
    let made = made.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let [corpus] = &made.collect::<Vec<_>>()[..] else { panic!("another than one corpus") };
    for document in bimed_corpus::read_documents(corpus).unwrap() {
        let document = serde_json::to_vec(&document.unwrap()).unwrap();
        check_bytes(&document, "a document");
    }
    check_said(&bimed(directory, &["inspect", corpus.to_str().unwrap(), "--json"]), "inspect");
    for (path, format, text, more) in [
        ("notes.jsonl", "jsonl", "note", ""),
        ("headless.csv", "csv", "text", ""),
        ("notes.jsonl", "jsonl", "text", "approval_expires = \"2020-01-01\""),
        ("notes.jsonl", "jsonl", "text", "min_chars = 100000"),
        (
            "notes.jsonl",
            "jsonl",
            "text",
            "identifiers = \"report\"\n[corpus.identifiers]\nmax_reported = 1",
        ),
    ] {
        std::fs::write(directory.join("f.toml"), experiment(path, format, text, more)).unwrap();
        for arguments in [&["corpus", "f.toml"] as &[&str], &["corpus", "f.toml", "--json"]] {
            let output = bimed(directory, arguments);
            assert_ne!(output.status.code(), Some(0), "{path} {text} {more}");
            check_said(&output, "a failing build");
        }
    }
}

#[test]
fn the_hidden_reader_quotes_no_request() {
    let directory = tempfile::tempdir().unwrap();
    for request in
        [format!("\"{ABOUT}\""), format!("{{\"request\": \"{ABOUT}\"}}"), ABOUT.to_owned()]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bimed"));
        command.arg("read-one-file").current_dir(directory.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_ne!(output.status.code(), Some(0));
        check_said(&output, "the reader");
    }
}

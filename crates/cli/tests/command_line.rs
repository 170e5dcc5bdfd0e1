//! The binary as a user calls it: exit codes, standard output, standard error.

use std::path::Path;
use std::process::{Command, Output};

fn bimed(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bimed"))
        .args(arguments)
        .current_dir(directory)
        .env_remove("BIMED_SHOW_PANIC")
        .output()
        .expect("the binary runs")
}

/// Exit code, standard output and standard error, as one text.
fn show(output: &Output) -> String {
    let code = output.status.code().expect("an exit code");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("exit {code}\n-- out\n{}-- err\n{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_starter_is_written_once() {
    let directory = tempfile::tempdir().unwrap();
    let first = bimed(directory.path(), &["new", "연구"]);
    insta::assert_snapshot!(show(&first), @r"
    exit 0
    -- out
    wrote 연구/experiment.toml
    next: edit its sources, then `bimed plan 연구/experiment.toml`
    -- err
    ");
    let again = bimed(directory.path(), &["new", "연구"]);
    insta::assert_snapshot!(show(&again), @r"
    exit 2
    -- out
    -- err
    error: `연구/experiment.toml` is there already
    hint: name another directory, or remove the file
    ");
}

#[test]
fn a_usage_fault_ends_with_two() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [
        &["frobnicate"] as &[&str],
        &["run"],
        &["doctor", "--device", "gpu"],
        &["doctor", "--threads", "0"],
        &["inspect", "nowhere"],
        &["predict", "model", "rows.csv", "--text", "소견"],
    ] {
        let output = bimed(directory.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", show(&output));
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn help_and_version_end_with_zero() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [&["--help"] as &[&str], &["--version"], &["run", "--help"]] {
        let output = bimed(directory.path(), arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("bimed"), "{arguments:?}");
    }
}

#[test]
fn every_line_of_the_doctor_is_json_when_asked() {
    let directory = tempfile::tempdir().unwrap();
    let output = bimed(directory.path(), &["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["event"], "result");
    assert!(value["findings"].as_array().unwrap().len() > 5);
}

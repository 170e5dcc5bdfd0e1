//! The binary as a user calls it: exit codes, standard output, standard error.

#![expect(clippy::disallowed_methods, reason = "a test may use the standard file functions")]

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

#[test]
fn every_fault_of_an_experiment_file_is_shown_before_anything_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let text = "[experiment]\nname = \"연구\"\noutput = 3\nstor = \"s\"\n[vocba]\nsize = 5\n";
    std::fs::write(directory.path().join("x.toml"), text).unwrap();
    let output = bimed(directory.path(), &["run", "x.toml", "--set", "experiment.seed=-1"]);
    insta::assert_snapshot!(show(&output), @r"
    exit 2
    -- out
    -- err
    error: `x.toml` has 6 faults
      x.toml:1:1: `experiment.store` is missing
      x.toml:2:8: `experiment.name` is `연구`, expected 1 to 64 of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`
      x.toml:3:10: `experiment.output`: found `3`, expected a path
      x.toml:4:1: unknown key `experiment.stor`
        hint: did you mean `experiment.store`?
      x.toml:5:2: unknown key `vocba`
        hint: did you mean `vocab`?
      --set experiment.seed=-1: `experiment.seed`: found `-1`, expected an integer of 0 or more
    ");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_missing_file_and_an_unknown_arm_are_named() {
    let directory = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(show(&bimed(directory.path(), &["run", "없음.toml"])), @r"
    exit 2
    -- out
    -- err
    error: failed to open file `없음.toml`: No such file or directory (os error 2)
    ");
    let text = "[experiment]\nname = \"x\"\noutput = \"o\"\nstore = \"s\"\n[[arm]]\nname = \"bilingual\"\n";
    std::fs::write(directory.path().join("x.toml"), text).unwrap();
    let output = bimed(directory.path(), &["run", "x.toml", "--arm", "bilingaul"]);
    insta::assert_snapshot!(show(&output), @r"
    exit 2
    -- out
    -- err
    error: `x.toml` has no arm `bilingaul`
    hint: did you mean `bilingual`?
    ");
}

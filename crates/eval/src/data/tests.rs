use super::*;

const SAMPLE: &str = "id\tsplit\tscore\ts1\ts2\n\
    a1\ttrain\t4.5\t폐에 결절이 있다.\t폐 결절이 보인다.\n\
    a2\tvalid\t0\tThe heart is \"normal\".\t간 CT상 정상이다.\n\
    a3\ttest\t2.25\tchest CT 판독\tabdomen CT 판독\n";

fn task(json: &str) -> TaskConfig {
    serde_json::from_str(json).unwrap()
}

/// A task over files in a directory of its own, each given as (key, content).
fn with_files(rest: &str, files: &[(&str, &[u8])]) -> (tempfile::TempDir, TaskConfig) {
    let dir = tempfile::tempdir().unwrap();
    let mut task = task(&format!(r#"{{"name": "sts", {rest}}}"#));
    for (key, content) in files {
        let path = dir.path().join(format!("{key}.tsv"));
        fs::write(&path, content).unwrap();
        match *key {
            "path" => task.path = Some(path),
            "train" => task.train = Some(path),
            "dev" => task.dev = Some(path),
            _ => task.test = Some(path),
        }
    }
    (dir, task)
}

fn ready(task: &TaskConfig) -> PairData {
    match load_pairs(task).unwrap() {
        Loaded::Ready(data) => data,
        Loaded::Skipped(reason) => panic!("skipped: {reason}"),
    }
}

#[track_caller]
fn check(task: &TaskConfig, expected: &str) {
    let message = load_pairs(task).unwrap_err().to_string();
    assert!(message.contains(expected), "{message}");
}

#[test]
fn one_file_is_told_apart_by_its_split_column() {
    let (_dir, task) = with_files(r#""protocol": "sts.pair_reg""#, &[("path", SAMPLE.as_bytes())]);
    let data = ready(&task);
    assert_eq!([data.train.len(), data.dev.len(), data.test.len()], [1, 1, 1]);
    assert_eq!(data.dev[0].s1, "The heart is \"normal\".");
    assert_eq!((data.test[0].row, data.test[0].id.as_deref()), (3, Some("a3")));
    assert_eq!(data.test[0].score, 2.25);
}

#[test]
fn a_zero_shot_protocol_counts_the_training_rows_it_leaves_out() {
    let (_dir, task) = with_files(r#""protocol": "sts.embed""#, &[("path", SAMPLE.as_bytes())]);
    let data = ready(&task);
    assert!(data.train.is_empty());
    assert_eq!(data.summary.files[0].num_other_splits, 1);
}

#[test]
fn columns_by_index_without_a_header_and_cp949() {
    let text = "뉴스\t3.5\t환자는 안정적이다.\t환자 상태가 좋다.\n";
    let (bytes, _, _) = encoding_rs::EUC_KR.encode(text);
    let rest = r#""protocol": "sts.embed",
        "table": {"header": false, "encoding": "cp949"}, "columns": {"score": 1, "s1": 2, "s2": 3}"#;
    let (_dir, task) = with_files(rest, &[("dev", &bytes)]);
    assert_eq!(ready(&task).dev[0].s1, "환자는 안정적이다.");
}

#[test]
fn quoting_is_read_only_when_asked_for() {
    let text = "score,s1,s2\n1,\"a, \"\"b\"\"\",다\n";
    let rest = r#""protocol": "sts.embed", "table": {"delimiter": ",", "quoting": true}"#;
    let (_dir, mut task) = with_files(rest, &[("dev", text.as_bytes())]);
    assert_eq!(ready(&task).dev[0].s1, "a, \"b\"");
    task.table.quoting = false;
    assert_eq!(ready(&task).dev[0].s1, "\"a");
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_first_column() {
    let text = "\u{feff}score\ts1\ts2\n1\t가\tb\n";
    let (_dir, task) = with_files(r#""protocol": "sts.embed""#, &[("dev", text.as_bytes())]);
    assert_eq!(ready(&task).dev.len(), 1);
}

#[test]
fn missing_files_skip_the_task_and_are_all_named() {
    let task = task(r#"{"name": "a", "protocol": "sts.embed", "dev": "x/d", "test": "x/t"}"#);
    assert_eq!(load_pairs(&task).unwrap(), Loaded::Skipped("not found: x/d, x/t".to_owned()));
}

#[test]
fn fine_tuning_without_what_it_trains_or_selects_on_is_skipped() {
    let without = |split: &str| {
        let text = SAMPLE.replace(&format!("\t{split}\t"), "\theldout\t");
        let (_dir, task) =
            with_files(r#""protocol": "sts.pair_reg""#, &[("path", text.as_bytes())]);
        load_pairs(&task).unwrap()
    };
    assert_eq!(without("train"), Loaded::Skipped("no pairs in train".to_owned()));
    assert_eq!(without("valid"), Loaded::Skipped("no pairs in dev to select on".to_owned()));
}

#[test]
fn a_limit_takes_the_same_rows_whatever_the_limit_of_another_split() {
    let rows: String = (0..100).map(|row| format!("{}\t문장 {row}\ts\n", row % 6)).collect();
    let text = format!("score\ts1\ts2\n{rows}");
    let rest = r#""protocol": "sts.embed", "limit": 30, "max_score": 5"#;
    let (_dir, mut task) = with_files(rest, &[("dev", text.as_bytes())]);
    let thirty = ready(&task);
    assert_eq!((thirty.dev.len(), thirty.summary.files[0].num_over_limit), (30, 70));
    assert!(thirty.dev.is_sorted_by_key(|pair| pair.row));
    task.limit = Some(10);
    assert!(ready(&task).dev.iter().all(|pair| thirty.dev.contains(pair)));
}

#[test]
fn bad_rows_are_refused_or_counted_by_reason() {
    let text = "score\ts1\ts2\n9\t가\tb\nx\t가\tb\n1\t \tb\n1\t가\n2\t가\tb\n";
    let (_dir, mut task) = with_files(r#""protocol": "sts.embed""#, &[("dev", text.as_bytes())]);
    check(&task, "found 4 rows that cannot be used (the first: line 2, the score is out of range)");
    task.max_bad_rows = 4;
    let data = ready(&task);
    assert_eq!((data.dev.len(), data.summary.files[0].num_bad.len()), (1, 4));
}

#[test]
fn faults_name_the_file_the_line_and_what_was_expected() {
    let rest = r#""protocol": "sts.embed""#;
    let (_dir, task) = with_files(rest, &[("dev", b"score\ts1\ts2\n1\ta\tb\n1\t\xb0\xa1\tb\n")]);
    check(&task, "dev.tsv:3: found bytes that are not UTF-8");
    let (_dir, task) = with_files(rest, &[("dev", "score\tsentence1\ts2\n".as_bytes())]);
    check(&task, "found no column `s1`, expected it among `score`, `sentence1`, `s2`");
}

#[test]
fn debug_shows_no_text() {
    let (_dir, task) = with_files(r#""protocol": "sts.embed""#, &[("path", SAMPLE.as_bytes())]);
    let shown = format!("{:?}", load_pairs(&task).unwrap());
    assert!(!shown.contains("heart") && !shown.contains("판독"), "{shown}");
}

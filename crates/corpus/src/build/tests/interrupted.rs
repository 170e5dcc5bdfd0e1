//! Builds that are killed, cancelled or run out of disk, and then go on.

use std::io::{BufRead as _, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bimed_artifact::{CommitStep, Unit};

use super::*;

/// The signal of a file that is too long, on Linux.
#[cfg(unix)]
const SIGXFSZ: i32 = 25;

/// What the child is told, in a line on its standard input.
#[derive(serde::Serialize, serde::Deserialize)]
struct Orders {
    dir: PathBuf,
    out: String,
    /// It ends itself at this step of a commit.
    fault_point: Option<usize>,
    /// No file may be longer.
    max_file_bytes: Option<u64>,
}

/// Ends the process at the n-th step of a commit, between write, sync and rename.
struct Fuse {
    left: AtomicUsize,
    end: fn(&Cancel),
    cancel: Cancel,
}

impl Progress for Fuse {
    fn begin(&self, _step: &str, _total: Option<u64>, _unit: Unit) {}
    fn advance(&self, _amount: u64) {}
    fn status(&self, _figures: &str) {}
    fn note(&self, _line: &str) {}
    fn end(&self) {}
    fn committing(&self, _step: CommitStep) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            (self.end)(&self.cancel);
        }
    }
}

fn sources(dir: &Path) -> Vec<SourceConfig> {
    let source = |name: &str, format| SourceConfig {
        name: name.into(),
        path: dir.join("texts").join(name),
        format,
        licence: "CC0-1.0".into(),
        text: vec!["text".into()],
        ..SourceConfig::default()
    };
    vec![source("기록.jsonl", Format::Jsonl), source("책", Format::Txt)]
}

fn config() -> CorpusConfig {
    let shard =
        crate::ShardConfig { shard_bytes: 40_000, frame_bytes: 9_000, level: 3, parquet: false };
    CorpusConfig { shard, ..CorpusConfig::default() }
}

fn run(dir: &Path, out: &str, progress: &dyn Progress, cancel: &Cancel) -> Result<CorpusSummary> {
    let (sources, config) = (sources(dir), config());
    let context = Context::new(progress, cancel);
    let (units, out) = (dir.join(format!("{out}-units")), dir.join(out));
    let job = Job::new(&sources, &config, scan(&sources)?, &units)?;
    let job = job.with_unit_bytes(SMALL_UNIT_BYTES)?;
    job.map(Share::ALL, &context)?;
    job.merge(&out, &context)?;
    job.finalize(&out, &context)
}

#[test]
#[ignore = "a process that other tests start and kill"]
fn child() {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
    let Ok(orders) = serde_json::from_str::<Orders>(&line) else { return };
    #[cfg(unix)]
    if let Some(bytes) = orders.max_file_bytes {
        use rustix::process::{Resource, Rlimit, setrlimit};
        // Heard and let go: the write fails instead, as on a full disk.
        let heard = std::sync::Arc::default();
        signal_hook::flag::register(SIGXFSZ, heard).unwrap();
        setrlimit(Resource::Fsize, Rlimit { current: Some(bytes), maximum: None }).unwrap();
    }
    let left = AtomicUsize::new(orders.fault_point.unwrap_or(usize::MAX));
    let fuse = Fuse { left, end: |_| std::process::abort(), cancel: Cancel::new() };
    match run(&orders.dir, &orders.out, &fuse, &fuse.cancel) {
        Ok(_) => {}
        Err(error) => panic!("{error}"),
    }
}

fn start(orders: &Orders) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "build::tests::interrupted::child"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let line = serde_json::to_string(orders).unwrap();
    child.stdin.take().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    child
}

fn orders(dir: &Path, out: &str, fault_point: Option<usize>) -> Orders {
    Orders { dir: dir.to_path_buf(), out: out.to_owned(), fault_point, max_file_bytes: None }
}

/// Texts, and the corpus of a run that nothing interrupted.
fn reference() -> (TempDir, BTreeMap<String, Vec<u8>>) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("texts/책")).unwrap();
    fs::write(dir.path().join("texts/기록.jsonl"), notes().repeat(2)).unwrap();
    for number in 0..12 {
        let text = format!("제{number}장 폐렴의 진단과 chest CT 소견 {number}.\n").repeat(30);
        fs::write(dir.path().join(format!("texts/책/{number}.txt")), text).unwrap();
    }
    let cancel = Cancel::new();
    run(dir.path(), "reference", &Silent, &cancel).unwrap();
    let listing = listing(&dir.path().join("reference"));
    assert!(listing.len() > 4, "{:?}", listing.keys());
    (dir, listing)
}

fn check_goes_on(dir: &Path, out: &str, reference: &BTreeMap<String, Vec<u8>>) {
    let cancel = Cancel::new();
    run(dir, out, &Silent, &cancel).unwrap();
    assert_eq!(listing(&dir.join(out)), *reference, "{out}");
}

/// Twenty builds, each killed up to four times, half between the steps of commits and half anywhere.
#[test]
fn a_killed_build_goes_on_to_the_same_bytes() {
    let (dir, reference) = reference();
    let began = Instant::now();
    assert!(start(&orders(dir.path(), "timed", None)).wait().unwrap().success());
    let duration = began.elapsed();
    let (mut killed_at_points, mut killed_anywhere) = (0, 0);
    for number in 0..10 {
        let out = format!("point-{number}");
        for kill in 0..4 {
            let point = 1 + number * 5 + kill;
            let status = start(&orders(dir.path(), &out, Some(point))).wait().unwrap();
            killed_at_points += usize::from(!status.success());
        }
        check_goes_on(dir.path(), &out, &reference);
    }
    for number in 0..10u32 {
        let out = format!("time-{number}");
        for kill in 0..4u32 {
            let mut child = start(&orders(dir.path(), &out, None));
            // Spread over most of the duration of a build, by the golden ratio. What goes on from
            // units takes less, and some end before they are killed.
            let share = f64::from(number * 4 + kill) * 0.618_034 % 1.0;
            std::thread::sleep(duration.mul_f64(0.6 * share));
            let _ = child.kill();
            killed_anywhere += usize::from(!child.wait().unwrap().success());
        }
        check_goes_on(dir.path(), &out, &reference);
    }
    assert!(killed_at_points >= 20, "{killed_at_points} kills at fault points");
    assert!(killed_anywhere >= 10, "{killed_anywhere} kills anywhere");
}

#[test]
fn a_cancelled_build_keeps_its_units_and_goes_on() {
    let (dir, reference) = reference();
    for point in [1, 4, 11, 23] {
        let out = format!("cancelled-{point}");
        let left = AtomicUsize::new(point);
        let fuse = Fuse { left, end: Cancel::cancel, cancel: Cancel::new() };
        let error = run(dir.path(), &out, &fuse, &fuse.cancel).unwrap_err();
        assert!(matches!(error, Error::Cancelled(_)), "{error}");
        let before = listing(&dir.path().join(format!("{out}-units")));
        check_goes_on(dir.path(), &out, &reference);
        let after = listing(&dir.path().join(format!("{out}-units")));
        let units = |listing: &BTreeMap<String, Vec<u8>>| {
            let units = listing.iter().filter(|(name, _)| name.ends_with(".unit"));
            units.map(|(name, bytes)| (name.clone(), bytes.clone())).collect::<BTreeMap<_, _>>()
        };
        assert!(units(&before).iter().all(|(name, bytes)| after.get(name) == Some(bytes)));
    }
}

#[cfg(unix)]
#[test]
fn shards_that_were_written_before_a_kill_stand() {
    use std::os::unix::fs::MetadataExt;
    let (dir, reference) = reference();
    let out = dir.path().join("shards");
    let shard = out.join("shard-00001.jsonl.zst");
    // With all units, so that the points count what is done with them.
    assert!(start(&orders(dir.path(), "shards", None)).wait().unwrap().success());
    fs::remove_dir_all(&out).unwrap();
    let mut point = 1;
    while !shard.exists() || !out.join("written.jsonl").exists() {
        let status = start(&orders(dir.path(), "shards", Some(point))).wait().unwrap();
        assert!(!status.success(), "the build ended before two shards were seen");
        point += 1;
    }
    let noted = fs::read_to_string(out.join("written.jsonl")).unwrap().lines().count();
    let files = || -> Vec<(u64, i64)> {
        let path = |number| out.join(format!("shard-{number:05}.jsonl.zst"));
        let of = |number| fs::metadata(path(number)).map(|file| (file.ino(), file.mtime_nsec()));
        (0..noted).map(|number| of(number).unwrap()).collect()
    };
    let before = files();
    assert!(noted > 0);
    check_goes_on(dir.path(), "shards", &reference);
    assert_eq!(files(), before);
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_an_error_and_the_build_goes_on_once_there_is_room() {
    let (dir, reference) = reference();
    let full = Orders { max_file_bytes: Some(3_000), ..orders(dir.path(), "full", None) };
    let mut child = start(&full);
    assert!(!child.wait().unwrap().success());
    let mut shown = String::new();
    child.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut shown).unwrap();
    assert!(shown.contains("File too large"), "{shown}");
    assert!(!shown.contains("finding"), "no text is shown");
    check_goes_on(dir.path(), "full", &reference);
}

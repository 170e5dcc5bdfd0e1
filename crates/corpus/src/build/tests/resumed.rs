use std::sync::Mutex;

use bimed_artifact::Unit;

use super::*;

/// Notes the bytes that each extraction has to read.
#[derive(Default)]
struct Extracted(Mutex<Vec<u64>>);

impl Progress for Extracted {
    fn begin(&self, step: &str, total: Option<u64>, _unit: Unit) {
        if step == "extract" {
            self.0.lock().unwrap().push(total.unwrap());
        }
    }
    fn advance(&self, _amount: u64) {}
    fn status(&self, _figures: &str) {}
    fn note(&self, _line: &str) {}
    fn end(&self) {}
}

#[test]
fn a_changed_or_added_file_redoes_its_own_extraction_only() {
    let mut fixture = Fixture::new();
    fixture.source("a.jsonl", Format::Jsonl, b"");
    fixture.sources[0].path = fixture.dir.path().join("책");
    let text =
        |name: &str| notes().replace("소견", name).replace("finding", name).replace("CT상", name);
    for name in ["가", "나", "다"] {
        fixture.write(&format!("책/{name}.jsonl"), text(name).as_bytes());
    }
    let root = fixture.dir.path().to_path_buf();
    let extracted = Extracted::default();
    let run = |fixture: &Fixture, out: &str| {
        let (units, out) = (root.join("units"), root.join(out));
        build_small(&fixture.sources, &fixture.config, &units, &out, &extracted).unwrap()
    };
    run(&fixture, "1");
    run(&fixture, "2");
    let changed = text("라");
    fixture.write("책/나.jsonl", changed.as_bytes());
    let added = text("마");
    fixture.write("책/바.jsonl", added.as_bytes());
    let summary = run(&fixture, "3");
    // Another quota, threshold or shard reads nothing.
    fixture.config.deduplicate.near_threshold = 0.9;
    fixture.sources[0].max_words = Some(1000);
    run(&fixture, "4");
    let bytes = extracted.0.into_inner().unwrap();
    let first = ["가", "나", "다"].map(|name| text(name).len() as u64).iter().sum();
    assert_eq!(bytes, [first, 0, (changed.len() + added.len()) as u64, 0]);
    assert_eq!(summary.sources[0].files, 4);
}

#[test]
fn two_ranks_write_the_bytes_of_one() {
    let mut fixture = Fixture::new();
    for name in ["하나", "둘", "셋"] {
        let text = notes().replace("소견", name).repeat(2);
        fixture.source(name, Format::Jsonl, text.as_bytes());
    }
    fixture.build("one").unwrap();
    let root = fixture.dir.path();
    let cancel = Cancel::new();
    let context = Context::new(&Silent, &cancel);
    let job = || {
        let files = scan(&fixture.sources).unwrap();
        let units = root.join("shared-units");
        Job::new(&fixture.sources, &fixture.config, files, &units)
            .and_then(|job| job.with_unit_bytes(SMALL_UNIT_BYTES))
            .unwrap()
    };
    let out = root.join("two");
    job().map(Share { rank: 1, world: 2 }, &context).unwrap();
    let error = job().merge(&out, &context).unwrap_err();
    assert!(matches!(error, Error::NotMapped { total: 3, .. }), "{error}");
    job().map(Share { rank: 0, world: 2 }, &context).unwrap();
    let error = job().finalize(&out, &context).unwrap_err();
    assert!(matches!(error, Error::NotMerged { .. }), "{error}");
    job().merge(&out, &context).unwrap();
    job().finalize(&out, &context).unwrap();
    assert_eq!(listing(&out), listing(&root.join("one")));
    assert!(
        listing(&root.join("shared-units"))
            .keys()
            .filter(|name| name.starts_with("journal"))
            .count()
            == 2
    );
}

#[test]
fn shares_cover_every_file_once() {
    let fixture = {
        let mut fixture = Fixture::new();
        for number in 0..7 {
            fixture.source(
                &format!("{number}"),
                Format::Txt,
                "폐렴 CT".repeat(number * number).as_bytes(),
            );
        }
        fixture
    };
    let files = scan(&fixture.sources).unwrap();
    let shares: Vec<Vec<usize>> =
        (0..3).map(|rank| Share { rank, world: 3 }.files(&files)).collect();
    let mut all = shares.concat();
    all.sort_unstable();
    assert_eq!(all, (0..7).collect::<Vec<_>>());
    assert!(shares.iter().all(|share| !share.is_empty()));
}

#[test]
fn units_of_any_size_make_the_same_corpus() {
    let mut fixture = Fixture::new();
    fixture.source("notes.jsonl", Format::Jsonl, notes().repeat(2).as_bytes());
    fixture.build("small").unwrap();
    let (units, out) = (fixture.dir.path().join("large-units"), fixture.dir.path().join("large"));
    let cancel = Cancel::new();
    let context = Context::new(&Silent, &cancel);
    build(&fixture.sources, &fixture.config, &units, &out, &context).unwrap();
    assert_eq!(listing(&out), listing(&fixture.dir.path().join("small")));
}

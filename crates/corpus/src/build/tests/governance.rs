use super::*;
use bimed_artifact::AccessTier;

fn contains(dir: &Path, needle: &str) -> Vec<String> {
    let holds =
        |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
    let unpacked = |bytes: &[u8]| {
        // Frames lie one behind the other, and keys behind them.
        let mut all = Vec::new();
        let magic = [0x28, 0xB5, 0x2F, 0xFD];
        for at in 0..bytes.len().saturating_sub(4) {
            if bytes[at..].starts_with(&magic)
                && let Ok(decoder) = zstd::Decoder::new(&bytes[at..])
            {
                let mut decoder = decoder.single_frame();
                let _ = std::io::copy(&mut decoder, &mut all);
            }
        }
        all
    };
    let found = listing(dir).into_iter();
    found
        .filter(|(_, bytes)| holds(bytes) || holds(&unpacked(bytes)))
        .map(|(name, _)| name)
        .collect()
}

fn notes_of(patients: &[&str]) -> String {
    let note = |(number, patient): (usize, &&str)| {
        let text = format!(
            "{patient}의 흉부 CT에서 결절 {number}개가 보였다. Follow-up in {number} months."
        );
        format!("{}\n", serde_json::json!({ "text": text, "patient": patient }))
    };
    patients.iter().enumerate().map(note).collect()
}

#[test]
fn records_of_those_who_withdrew_are_gone_from_the_corpus_and_from_what_was_extracted() {
    let mut fixture = Fixture::new();
    fixture.config.deduplicate.near = false;
    let patients = ["환자가", "withdrawn-patient", "환자다"];
    fixture.source("기록", Format::Jsonl, notes_of(&patients).as_bytes()).group =
        Some("patient".into());
    fixture.source("딴것", Format::Jsonl, notes_of(&["환자라"]).as_bytes()).group =
        Some("patient".into());
    let (before, _) = fixture.build("before").unwrap();
    assert_eq!((before.documents, before.withdrawn), (4, None));
    let root = fixture.dir.path().to_path_buf();
    assert_eq!(contains(&root.join("units"), "withdrawn-patient").len(), 1);
    let list = "# 철회\nwithdrawn-patient\n\n";
    fixture.config.exclude_ids = Some(fixture.write("철회.txt", list.as_bytes()));
    let (after, documents) = fixture.build("after").unwrap();
    assert_eq!((after.documents, documents.len()), (3, 3));
    assert_eq!(after.sources[0].rejected, [(Reason::Withdrawn, 1)].into());
    assert!(after.withdrawn.is_some());
    for dir in ["units", "after"] {
        assert_eq!(contains(&root.join(dir), "withdrawn-patient"), Vec::<String>::new(), "{dir}");
    }
    // Whoever comes back is read again.
    fixture.config.exclude_ids = Some(fixture.write("철회.txt", b"# nobody\n"));
    let (again, _) = fixture.build("again").unwrap();
    assert_eq!(again.documents, 4);
    let listings = ["before", "again"].map(|name| listing(&root.join(name)));
    assert_eq!(listings[0], listings[1]);
}

#[test]
fn an_ended_approval_refuses_and_one_that_ends_today_does_not() {
    let source = |name: &str, expires: Option<&str>| SourceConfig {
        name: name.into(),
        approval: Some("IRB-2025-1".into()),
        approval_expires: expires.map(str::to_owned),
        ..SourceConfig::default()
    };
    let sources =
        [source("가", Some("2026-05-31")), source("나", None), source("다", Some("2026-05-30"))];
    check_approvals(&sources, "2026-05-30").unwrap();
    let error = check_approvals(&sources, "2026-06-01").unwrap_err();
    assert_eq!(
        error.to_string(),
        "found ended approvals: `IRB-2025-1` of source `가` on 2026-05-31, `IRB-2025-1` of source \
         `다` on 2026-05-30"
    );
    assert!(error.hint().is_some());
}

#[test]
fn the_strictest_tier_is_the_corpus_s() {
    let mut fixture = Fixture::new();
    fixture.source("공개", Format::Jsonl, notes().as_bytes());
    fixture.source("기록", Format::Jsonl, notes_of(&["가"]).as_bytes()).access_tier =
        AccessTier::Private;
    assert_eq!(fixture.build("out").unwrap().0.access_tier, AccessTier::Private);
}

#[test]
fn a_translation_of_a_contaminated_document_is_dropped_with_it() {
    let record =
        |id: usize, text: &str| format!("{}\n", serde_json::json!({ "id": id, "text": text }));
    let korean = [
        "환자는 흉부 CT에서 폐렴이 의심되어 입원하였다.",
        "당뇨병 환자는 혈당을 자주 측정해야 한다.",
    ];
    let english = [
        "The patient was admitted because pneumonia was suspected on chest CT.",
        "People with diabetes should measure their blood glucose often.",
    ];
    let lines = |texts: [&str; 2]| -> String {
        texts.iter().enumerate().map(|(id, text)| record(id, text)).collect()
    };
    let mut fixture = Fixture::new();
    fixture.source("ko", Format::Jsonl, lines(korean).as_bytes()).id = Some("id".into());
    fixture.source("en", Format::Jsonl, lines(english).as_bytes()).id = Some("id".into());
    fixture.sources[1].translates = Some("ko".into());
    // The evaluation has the English sentence alone; its Korean version goes with it.
    fixture.config.decontaminate =
        vec![fixture.write("sts.tsv", format!("5.0\t{}\n", english[0]).as_bytes())];
    let (summary, documents) = fixture.build("out").unwrap();
    let kept: Vec<&str> = documents.iter().map(|one| one.text.as_str()).collect();
    assert_eq!(kept, [korean[1], english[1]]);
    let found = summary.decontamination.unwrap();
    assert_eq!((found.dropped, found.dropped_versions), (2, 1));
    assert_eq!(summary.sources[0].rejected, [(Reason::ContaminatedVersion, 1)].into());
    fixture.sources[1].translates = None;
    assert_eq!(fixture.build("apart").unwrap().1.len(), 3);
    // Lines of two files of their own are versions of one another by their number.
    for (source, texts) in fixture.sources.iter_mut().zip([korean, english]) {
        let path = fixture.dir.path().join(format!("{}.txt", source.name));
        fs::write(&path, texts.join("\n")).unwrap();
        (source.path, source.format, source.id) = (path, Format::Txt, None);
        source.unit = crate::RecordUnit::Line;
    }
    fixture.sources[1].translates = Some("ko".into());
    assert_eq!(fixture.build("lines").unwrap().1.len(), 2);
    fixture.sources[1].translates = Some("일본어".into());
    assert!(matches!(fixture.build("none"), Err(Error::Config { .. })));
}

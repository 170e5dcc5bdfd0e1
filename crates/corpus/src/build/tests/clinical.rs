use super::*;
use crate::Profile;

/// A record of a patient at a time.
fn note(id: usize, patient: usize, time: &str, text: &str) -> String {
    let record = serde_json::json!({
        "id": format!("n{id}"), "patient": format!("p{patient}"), "time": time, "text": text,
    });
    format!("{record}\n")
}

fn fixture(lines: &str) -> Fixture {
    let mut fixture = Fixture::new();
    let source = fixture.source("기록", Format::Jsonl, lines.as_bytes());
    source.id = Some("id".into());
    source.group = Some("patient".into());
    source.time = Some("time".into());
    source.profile = Profile::Clinical;
    fixture
}

const TEMPLATE: &str =
    "FINDINGS: 폐에 활동성 병변 없음. No acute cardiopulmonary process. 심장 크기 정상.";

#[test]
fn a_template_is_kept_for_five_patients_and_once_for_each() {
    let lines: String =
        (0..30).map(|number| note(number, number % 10, "2026-01-01", TEMPLATE)).collect();
    let mut fixture = fixture(&lines);
    let (summary, documents) = fixture.build("out").unwrap();
    assert_eq!(documents.len(), 5);
    let groups: BTreeSet<&str> = documents.iter().map(|one| one.split_group.as_str()).collect();
    assert_eq!(groups.len(), 5, "one of each patient");
    assert_eq!((documents[0].duplicates, documents[0].provenance.record), (25, 0));
    assert_eq!(summary.sources[0].rejected, [(Reason::ExactDuplicate, 25)].into());
    fixture.sources[0].max_copies = Some(2);
    assert_eq!(fixture.build("two").unwrap().1.len(), 2);
    fixture.sources[0].max_copies = None;
    fixture.sources[0].profile = Profile::General;
    assert_eq!(fixture.build("one").unwrap().1.len(), 1);
}

#[test]
fn what_a_note_repeats_of_an_earlier_one_is_cut_whatever_the_order_of_the_file() {
    let history = "과거력: 고혈압 10년 전 진단\nMedication: amlodipine 5 mg daily\n알레르기 없음\n";
    let day = |number: usize| {
        format!("{history}경과 {number}일째 chest CT에서 결절 {number} mm로 관찰됨.")
    };
    let times = ["2026-01-03 09:00", "2026-01-01 09:00", "2026-01-02 09:00"];
    let lines: String = times
        .iter()
        .enumerate()
        .map(|(number, time)| note(number, 1, time, &day(number)))
        .chain([note(9, 2, "2026-01-05", &day(7))])
        .collect();
    let mut fixture = fixture(&lines);
    fixture.config.deduplicate.near = false;
    fixture.sources[0].copy_forward = true;
    let (summary, documents) = fixture.build("out").unwrap();
    let texts: Vec<&str> = documents.iter().map(|one| one.text.as_str()).collect();
    let rest = |number: usize| format!("경과 {number}일째 chest CT에서 결절 {number} mm로 관찰됨.");
    // The second line is the earliest note; another patient's notes are nobody's copies.
    assert_eq!(texts, [rest(0), day(1), rest(2), day(7)]);
    let found = summary.copy_forward.unwrap();
    assert_eq!((found.documents, found.changed, found.without_time), (4, 2, 0));
    assert_eq!(found.cut_chars, 2 * history.chars().count() as u64);
    assert_eq!(summary.words, documents.iter().map(|one| one.num_words).sum::<u64>());
    assert_eq!(summary.sources[0].chars, documents.iter().map(|one| one.num_chars).sum::<u64>());
    for document in &documents {
        let joined: String =
            document.sentences.iter().map(|(from, to)| &document.text[*from..*to]).collect();
        assert_eq!(joined, document.text);
    }
}

#[test]
fn a_note_that_says_nothing_new_is_dropped_and_a_step_without_notes_is_an_error() {
    let text = "혈압 120/80, 체온 36.5\nChest PA에서 특이소견 없음\n경과 관찰하며 퇴원 예정\n수술 부위 깨끗함";
    let longer = format!("{text}\n추가 소견 없음");
    let mut fixture =
        fixture(&[note(1, 1, "2026-01-01", &longer), note(2, 1, "2026-01-02", text)].concat());
    fixture.config.deduplicate.near = false;
    fixture.sources[0].copy_forward = true;
    let (summary, documents) = fixture.build("out").unwrap();
    assert_eq!(documents.len(), 1);
    assert_eq!(summary.sources[0].rejected, [(Reason::CopiedForward, 1)].into());
    fixture.sources[0].min_chars = Some(1000);
    fixture.config.deduplicate.exact = false;
    let error = fixture.build("none").unwrap_err();
    assert!(matches!(error, Error::ZeroEffect { step: "copy_forward" }), "{error}");
}

#[test]
fn near_copies_are_found_and_the_longest_stays() {
    let body = |number: usize, words: usize| -> String {
        (0..words).map(|word| format!("소견{}번 finding{word} ", word * 31 + number)).collect()
    };
    let lines = [
        line(body(1, 200).trim_end_matches("finding199 "), 1),
        line(&body(1, 200), 2),
        line(&body(2, 200), 3),
        line(&body(1, 190), 4),
    ];
    let mut fixture = Fixture::new();
    fixture.source("노트", Format::Jsonl, lines.concat().as_bytes());
    let (summary, documents) = fixture.build("out").unwrap();
    let kept: Vec<u64> = documents.iter().map(|one| one.provenance.record).collect();
    assert_eq!(kept, [1, 2]);
    assert_eq!(documents[0].duplicates, 2);
    assert_eq!(summary.sources[0].rejected, [(Reason::NearDuplicate, 2)].into());
}

#[test]
fn a_book_is_cut_into_chapters_that_are_compared_and_stay_in_one_split() {
    let chapter = |book: usize, number: usize| -> String {
        let sentence = |word| format!("제{number}장 {book}판 {word}에서 chest CT 소견을 다룬다. ");
        (0..60).map(sentence).collect::<String>() + "\n\n"
    };
    // The second edition has the first three chapters of the first.
    let edition = |book: usize| -> String {
        (0..8).map(|number| chapter(if number < 3 { 0 } else { book }, number)).collect()
    };
    let mut fixture = Fixture::new();
    fixture.config.chunk_chars = 2500;
    fixture.source("초판", Format::Txt, edition(1).as_bytes());
    fixture.source("개정판", Format::Txt, edition(2).as_bytes());
    let (summary, documents) = fixture.build("out").unwrap();
    assert!(summary.sources[0].documents > 3, "{summary:?}");
    assert!(summary.sources[1].rejected[&Reason::ExactDuplicate] > 0, "{summary:?}");
    let ids: BTreeSet<&str> = documents.iter().map(|one| one.doc_id.as_str()).collect();
    assert_eq!(ids.len(), documents.len());
    let groups: BTreeSet<(&str, &str)> =
        documents.iter().map(|one| (one.source.as_str(), one.split_group.as_str())).collect();
    assert_eq!(groups.len(), 2);
}

#[test]
fn terms_of_one_shingle_are_no_copies_of_one_another() {
    // Signatures of 16 bits that agreed as a whole made some hundred of these one.
    let lines: String = (0..6000)
        .map(|number| line(&format!("진단명{number} term{}", number * 7), number))
        .collect();
    let mut fixture = Fixture::new();
    fixture.source("용어", Format::Jsonl, lines.as_bytes()).min_chars = Some(4);
    let (summary, _) = fixture.build("out").unwrap();
    assert_eq!((summary.documents, summary.sources[0].rejected.len()), (6000, 0));
}

use proptest::prelude::*;

use super::*;

fn scanner() -> IdentifierScanner {
    IdentifierScanner::new(&["독고영수리".into(), "Gildong Park".into()]).unwrap()
}

fn masked(text: &str) -> String {
    scanner().mask(text, &[], &mut IdentifierCounts::default()).into_owned()
}

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(masked(text), *expected, "{text}");
    }
}

#[test]
fn resident_numbers_need_no_checksum_and_no_dash() {
    check(&[
        ("주민번호 800101-1234567 임.", "주민번호 [RRN] 임."),
        ("010230-4999999", "[RRN]"),
        ("외국인 900715-5123456, 8001011234567", "외국인 [RRN], [RRN]"),
        ("800101-1****** / 800101-******* / 800101 – 2345678", "[RRN] / [RRN] / [RRN]"),
        ("ISBN 9788966260959", "ISBN 9788966260959"),
        ("801301-1234567", "801301-1234567"),
        ("SSN 123-45-6789, 000-12-3456", "SSN [SSN], 000-12-3456"),
    ]);
}

#[test]
fn phones_of_two_countries() {
    check(&[
        ("연락처 010-1234-5678, 02)345-6789", "연락처 [PHONE], [PHONE]"),
        ("031.123.4567 / +82-10-1234-5678 / 01012345678", "[PHONE] / [PHONE] / [PHONE]"),
        ("1588-1234 call (617) 555-0123 or 617-555-0123", "[PHONE] call [PHONE] or [PHONE]"),
        (
            "T. 010 1234 5678 2회, 3 010-1234-5678/010-9876-5432",
            "T. [PHONE] 2회, 3 [PHONE]/[PHONE]",
        ),
        ("BP 120/80, 300-400 mg, 1234-5678", "BP 120/80, 300-400 mg, 1234-5678"),
        ("SpO2 98 100 120 110 Na 138 104 1200", "SpO2 98 100 120 110 Na 138 104 1200"),
    ]);
}

#[test]
fn online_addresses() {
    check(&[
        ("메일 gildong.hong@snuh.example.kr로 보냄.", "메일 [EMAIL]로 보냄."),
        ("see https://a.example/p?id=3, www.example.org.", "see [URL], [URL]."),
        ("10@20 mg, a@b", "10@20 mg, a@b"),
        ("서버 192.168.10.1, 절 4.2.1.3", "서버 [IP], 절 4.2.1.3"),
    ]);
}

#[test]
fn numbers_behind_labels() {
    check(&[
        ("등록번호: 12345678 성별", "등록번호: [ID] 성별"),
        ("MRN# 00-123-45, Chart No. A1234567", "MRN# [ID], Chart No. [ID]"),
        ("환자번호 12345678, 검체번호20240117", "환자번호 [ID], 검체번호[ID]"),
        ("여권번호: M123A4567 / M12345678", "여권번호: [PASSPORT] / [PASSPORT]"),
        ("의사면허 제12345호, 11-12-345678-90", "의사면허 제[LICENCE]호, [LICENCE]"),
        ("등록번호가 없다. charted 12345678", "등록번호가 없다. charted 12345678"),
        ("4111-1111-1111-1111, 4111-1111-1111-1112", "[CARD], 4111-1111-1111-1112"),
    ]);
}

#[test]
fn names_need_a_label_a_title_or_the_list() {
    check(&[
        ("성명: 홍길동 (M/45), 환자명 김영희는", "성명: [NAME] (M/45), 환자명 [NAME]는"),
        ("성 명: 홍 길 동", "성 명: 홍 길 동"),
        ("성명: 홍 길 동 / 보호자 : 이몽룡", "성명: [NAME] / 보호자 : [NAME]"),
        ("홍길동님과 남궁옥분 교수, 이몽룡씨", "[NAME]님과 [NAME] 교수, [NAME]씨"),
        ("신경과 교수, 선생님, 조교수, 심부전 환자", "신경과 교수, 선생님, 조교수, 심부전 환자"),
        ("이름: 미상, 성명 및 주소를 적는다", "이름: 미상, 성명 및 주소를 적는다"),
        (
            "Name: Hong Gil-dong, Dr. Kim saw Mrs. Mary Smith.",
            "Name: [NAME], Dr. [NAME] saw Mrs. [NAME].",
        ),
        ("Patient: The patient was. John A. Smith, M.D.", "Patient: The patient was. [NAME], M.D."),
        (
            "DR and 300 ms MR images. Attending: Jane Doe",
            "DR and 300 ms MR images. Attending: [NAME]",
        ),
        ("독고영수리가 왔다; seen by Gildong Park.", "[NAME]가 왔다; seen by [NAME]."),
    ]);
}

#[test]
fn the_end_of_a_line_hides_nothing() {
    check(&[
        ("성명:\n홍길동\n성별: 남", "성명:\n[NAME]\n성별: 남"),
        ("환자명\n홍 길 동\r\n", "환자명\n[NAME]\r\n"),
        ("등록번호:\n12345678", "등록번호:\n[ID]"),
        ("Name:\nHong Gil-dong\nMRN\n00123456", "Name:\n[NAME]\nMRN\n[ID]"),
        ("연락처 010-1234-\n5678, 02 345\n6789", "연락처 [PHONE], [PHONE]"),
        ("800101-\n1234567 / 123-45-\n6789", "[RRN] / [SSN]"),
        // The next label, prose and a table are none.
        ("성명:\n등록번호: 12345678", "성명:\n등록번호: [ID]"),
        ("Attending:\nChief Complaint: cough", "Attending:\nChief Complaint: cough"),
        ("검사는 보호자\n이야기를 듣고", "검사는 보호자\n이야기를 듣고"),
        ("BP 120 80\n130 85\n- 5 mg", "BP 120 80\n130 85\n- 5 mg"),
    ]);
}

#[test]
fn addresses_need_a_house_number() {
    check(&[
        ("서울특별시 종로구 대학로 101 거주", "[ADDRESS] 거주"),
        ("경기도 성남시 분당구 구미로173번길 82, 3층", "[ADDRESS], 3층"),
        ("서울 강남구에서 대전까지, 부산 출신", "서울 강남구에서 대전까지, 부산 출신"),
        ("주소: 종로구 어느골목 7-1\n다음", "주소: [ADDRESS]\n다음"),
        ("lives at 12 Elm Tree Street, on the road", "lives at [ADDRESS], on the road"),
    ]);
}

#[test]
fn dates_are_found_and_may_be_kept() {
    check(&[
        ("2024-01-15, 2024.1.5 20240115 01/15/2024", "[DATE], [DATE] [DATE] [DATE]"),
        ("2024. 1. 15. 2024-01-15/2024-01-20", "[DATE]. [DATE]/[DATE]"),
        ("2024년 1월 15일, 3월 2일에", "[DATE], [DATE]에"),
        ("Jan 15, 2024 and 15 January 2024", "[DATE] and [DATE]"),
        ("3월에 2일간 may 15 2-3-4 1.25.3", "3월에 2일간 may 15 2-3-4 1.25.3"),
    ]);
    let mut counts = IdentifierCounts::default();
    let kept = scanner().mask("2024-01-15 홍길동님", &[IdentifierClass::Date], &mut counts);
    assert_eq!(kept, "2024-01-15 [NAME]님");
    assert_eq!((counts.0[&IdentifierClass::Date], counts.total()), (1, 2));
}

#[test]
fn removed_marks_are_masked_only_when_asked() {
    let mut counts = IdentifierCounts::default();
    assert_eq!(mask_removed("Mr. ___ 은 ____에 __", '_', &mut counts), "Mr. [DEID] 은 [DEID]에 __");
    assert_eq!(counts.0[&IdentifierClass::Removed], 2);
    assert_eq!(masked("Name: ___ 성명: ____"), "Name: ___ 성명: ____");
}

#[test]
fn classes_have_distinct_names_and_tokens() {
    for (place, class) in IdentifierClass::ALL.iter().enumerate() {
        assert_eq!(serde_json::to_value(class).unwrap(), class.name());
        for other in &IdentifierClass::ALL[..place] {
            assert_ne!(class.mask_token(), other.mask_token());
        }
    }
}

proptest! {
    #[test]
    fn masking_twice_is_masking_once(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "홍길동", "님", " ", "성명:", "800101", "-", "1234567", "010", "5678", "Dr.", "Kim", "@",
                "a.kr", "서울", "종로구", "대학로", "101", "월", "2024", "일", ".", "/", "___", "Name:",
                "\n", "[NAME]", "MRN", "교수", "é", "가", "*",
            ]),
            0..14,
        )
    ) {
        let once = masked(&parts.concat());
        prop_assert_eq!(masked(&once), once);
    }

    #[test]
    fn any_text_is_scanned(text in "\\PC{0,60}") {
        let mut end = 0;
        for one in scanner().find(&text) {
            prop_assert!(one.start >= end && one.end > one.start);
            prop_assert!(text.is_char_boundary(one.start) && text.is_char_boundary(one.end));
            end = one.end;
        }
    }
}

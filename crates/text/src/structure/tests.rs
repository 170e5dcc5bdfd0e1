use proptest::prelude::*;

use super::*;

const ALL: StructureOptions =
    StructureOptions { page_furniture: true, contents: true, line_breaks: true };

fn check(pages: &[&str], options: StructureOptions, expected: &str) -> StructureCounts {
    let mut counts = StructureCounts::default();
    assert_eq!(structure(pages, &options, &mut counts), expected);
    counts
}

#[test]
fn running_heads_and_page_numbers_go() {
    let page = |number: u32, body: &str| format!("호흡기학 제3판\n\n{body}\n\n- {number} -\n");
    let bodies = ["폐렴은 염증이다.", "CT로 진단한다.", "호흡기학 제3판", "Treatment: rest.\n12"];
    let pages: Vec<String> = (1..).zip(bodies).map(|(number, body)| page(number, body)).collect();
    let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
    let options = StructureOptions { page_furniture: true, ..StructureOptions::default() };
    let mut counts = StructureCounts::default();
    let text = structure(&pages, &options, &mut counts);
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines, ["폐렴은 염증이다.", "CT로 진단한다.", "Treatment: rest."]);
    assert_eq!((counts.pages, counts.running_lines, counts.page_numbers), (4, 5, 5));
    let whole = pages[..2].join("").trim_end().to_owned();
    let two = check(&pages[..2], options, &whole);
    assert_eq!(two.running_lines + two.page_numbers, 0, "two pages are no book");
}

#[test]
fn lines_of_contents_go() {
    let options = StructureOptions { contents: true, ..StructureOptions::default() };
    let page = "제1장 폐렴 ........ 12\n2. Treatment …… 40\n수치 1.5, 2.3\n빈칸 ....";
    assert_eq!(check(&[page], options, "수치 1.5, 2.3\n빈칸 ....").contents_lines, 2);
}

#[test]
fn broken_lines_are_joined_by_what_the_book_says() {
    let page = "환자는 발열과 기침을 주소로 본원 응급실로 내원하였으며 흉부 단순촬영에서 우하엽에 폐렴\n\
                소견을 보였다. 이후 시행한 전산화단층촬영에서 같은 부위의 경화 소견이 관찰되어 항생제\n\
                치료를 시작하였다. 이 병원의 치료를 받은 환자는 폐렴 소견을 보였다고 하며 모두 항생\n\
                제 치료를 받은 뒤 퇴원하였다. 균 배양이 음성이어도 항생제 사용을 지속하였다고 한다.\n\
                짧은 줄\n다음 문단 The inflam-\n";
    let counts = check(
        &[page],
        ALL,
        "환자는 발열과 기침을 주소로 본원 응급실로 내원하였으며 흉부 단순촬영에서 우하엽에 폐렴 소견을 \
         보였다. 이후 시행한 전산화단층촬영에서 같은 부위의 경화 소견이 관찰되어 항생제 치료를 시작하였다. \
         이 병원의 치료를 받은 환자는 폐렴 소견을 보였다고 하며 모두 항생제 치료를 받은 뒤 퇴원하였다. \
         균 배양이 음성이어도 항생제 사용을 지속하였다고 한다.\n짧은 줄\n다음 문단 The inflam-",
    );
    assert_eq!((counts.joined_with_space, counts.joined_in_eojeol), (2, 1));
}

#[test]
fn hyphens_go_where_the_joined_word_occurs() {
    let page = "The patient had severe inflammation of the lung and was given anti-\n\
                inflammatory drugs because the inflammation did not resolve and the pneu-\n\
                monia was getting worse; in the end the pneumonia resolved without any drug\n\
                and the patient was discharged to a rehabilitation hospital close to her own\n\
                home.";
    let expected = page.replace("pneu-\nmonia", "pneumonia").replace("anti-\n", "anti-");
    let counts = check(&[page], ALL, &expected.replace('\n', " "));
    assert_eq!((counts.hyphens, counts.joined_with_space), (1, 3));
}

#[test]
fn text_that_is_not_broken_at_an_edge_stays() {
    let notes =
        "C.C> 기침 3일\nBP 120/80, HR 72 regular\nNa 138 / K 4.2 / Cl 101\n- CT: 이상 없음\n";
    check(&[notes], ALL, notes.trim_end());
}

#[test]
fn headings_part_notes() {
    let text = "메모\n주소:\n기침\nC.C> fever 3일\nIMPRESSION: No acute finding.\nTime: 12:30\n끝";
    let found: Vec<_> = sections(text)
        .into_iter()
        .map(|one| (text[one.start..one.end].to_owned(), one.name))
        .collect();
    let expected = [
        ("주소:\n기침\n", "주소"),
        ("C.C> fever 3일\n", "C.C"),
        ("IMPRESSION: No acute finding.\nTime: 12:30\n끝", "IMPRESSION"),
    ];
    assert_eq!(found, expected.map(|(text, name)| (text.to_owned(), name.to_owned())));
}

#[test]
fn a_label_may_be_as_long_as_it_may() {
    // Letters of four bytes behind one of one.
    let label = |letters: usize| format!("A{}: 소견\n", "𠀀".repeat(letters));
    assert_eq!(sections(&label(41)).len(), 1);
    assert!(sections(&label(42)).is_empty());
    assert!(sections(&format!("{}IMPRESSION: 정상", "흉부 ".repeat(60))).is_empty());
}

proptest! {
    #[test]
    fn letters_stay_in_order(
        words in prop::collection::vec("[a-z]{1,9}|[가나다라마]{1,6}|[a-z]{2}-|[0-9.]{1,4}", 0..80),
        width in 4usize..12,
    ) {
        let lines: Vec<String> = words.chunks(width).map(|line| line.join(" ")).collect();
        let text = lines.join("\n");
        let options = StructureOptions { line_breaks: true, ..StructureOptions::default() };
        let joined = structure(&[&text], &options, &mut StructureCounts::default());
        let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
        prop_assert_eq!(letters(&joined), letters(&text));
    }
}

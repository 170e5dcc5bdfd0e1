use super::*;
use crate::XmlSchema;

fn read_text(text: &str, source: &SourceConfig) -> FileRecords {
    let decoded = Decoded {
        text: text.to_owned(),
        encoding: "UTF-8",
        partial: false,
        replaced: 0,
        unreadable: false,
    };
    let mut out = FileRecords::default();
    read(&decoded, source, &mut out);
    out
}

fn source(record: Option<&str>) -> SourceConfig {
    SourceConfig {
        text: vec!["title".into(), "body".into()],
        skip: vec!["ref-list".into()],
        record: record.map(str::to_owned),
        id: Some("pid".into()),
        ..SourceConfig::default()
    }
}

const ARTICLES: &str = "<set xmlns:m='u'><a pid='1'><m:title>폐렴 &amp; CT</m:title><meta>x</meta>\
    <body><p>하나 <b>굵은</b>글</p><p>2 &#xB3; &alpha;</p><ref-list><p>ref</p></ref-list></body></a>\
    <a pid='2'><title>둘째</title></a></set>";

#[test]
fn named_elements_are_taken_and_skipped() {
    let out = read_text(ARTICLES, &source(Some("a")));
    assert_eq!(out.records[0].text, "폐렴 & CT\n하나 굵은글\n\n2 ³ α");
    assert_eq!(out.records[0].id.as_deref(), Some("1"));
    assert_eq!((out.records.len(), out.records[1].text.as_str()), (2, "둘째"));
    let whole = read_text(ARTICLES, &source(None));
    assert_eq!(whole.records.len(), 1);
    assert!(whole.records[0].text.ends_with("α\n둘째"));
}

#[test]
fn a_cut_file_keeps_its_complete_records() {
    let cut = &ARTICLES[..ARTICLES.len() - 14];
    let out = read_text(cut, &source(Some("a")));
    assert_eq!(out.records.len(), 1);
    assert_eq!(out.faults, [(1, Reason::BadRecord)]);
    assert!(out.partial);
}

#[test]
fn a_file_without_the_elements_names_what_it_has() {
    let out = read_text("<x><y>폐렴 secret</y></x>", &source(None));
    assert_eq!(out.without_fields, Some(vec!["x".to_owned(), "y".to_owned()]));
    assert_eq!(out.faults, [(0, Reason::MissingField)]);
}

fn schema(schema: XmlSchema, text: &str) -> FileRecords {
    let source = SourceConfig { schema: Some(schema), ..SourceConfig::default() };
    read_text(text, &source)
}

#[test]
fn journal_articles_give_title_abstract_and_body() {
    let out = schema(
        XmlSchema::Jats,
        "<article><front><journal-meta><journal-title>J</journal-title></journal-meta><article-meta>\
         <article-id pub-id-type='pmc'>PMC7</article-id><title-group><article-title>폐렴 pneumonia\
         </article-title><trans-title-group><trans-title>Lung disease</trans-title></trans-title-group>\
         </title-group><contrib-group><contrib><name><surname>홍</surname></name>\
         </contrib></contrib-group><abstract><p>배경 background.</p></abstract><trans-abstract \
         xml:lang='en'><p>CT was taken.</p></trans-abstract></article-meta></front>\
         <body><sec><title>방법</title><p>CT를 <xref>Figure 1</xref>처럼 찍었다.<inline-formula>\
         <tex-math>x^2</tex-math></inline-formula></p><table-wrap><table><tr><td>Na</td><td>138</td>\
         </tr></table></table-wrap><supplementary-material><p>Click here.</p></supplementary-material>\
         </sec></body><back><ref-list><ref><article-title>다른 논문\
         </article-title></ref></ref-list></back></article>",
    );
    let text = out.records[0].text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        text,
        "폐렴 pneumonia Lung disease 배경 background. CT was taken. 방법 CT를 Figure 1처럼 찍었다. Na 138"
    );
    assert_eq!(out.records[0].id.as_deref(), Some("PMC7"));
}

#[test]
fn abstracts_of_a_set_are_records_with_their_number() {
    let one = |number: u32, abstracts: &str| {
        format!(
            "<PubmedArticle><MedlineCitation><PMID Version='1'>{number}</PMID><Article><ArticleTitle>\
             Pneumonia {number}.</ArticleTitle><Abstract>{abstracts}</Abstract><AuthorList><Author>\
             <LastName>Hong</LastName></Author></AuthorList></Article><CommentsCorrectionsList>\
             <CommentsCorrections><PMID>9</PMID></CommentsCorrections></CommentsCorrectionsList>\
             </MedlineCitation></PubmedArticle>"
        )
    };
    let first = one(71, "<AbstractText Label='BACKGROUND'>폐렴은 흔하다.</AbstractText>");
    let text = format!("<PubmedArticleSet>{first}{}</PubmedArticleSet>", one(72, ""));
    let out = schema(XmlSchema::Pubmed, &text);
    let found: Vec<_> =
        out.records.iter().map(|one| (one.id.as_deref(), one.text.as_str())).collect();
    assert_eq!(
        found,
        [(Some("71"), "Pneumonia 71.\n폐렴은 흔하다."), (Some("72"), "Pneumonia 72.")]
    );
}

#[test]
fn questions_and_textbook_modules_are_read_by_their_schemas() {
    let out = schema(
        XmlSchema::Medquad,
        "<Document id='1'><Focus>폐렴</Focus><QAPairs><QAPair pid='1'><Question qid='1-1'>폐렴이란?\
         </Question><Answer>An infection of the lung.</Answer></QAPair><QAPair pid='2'><Question>왜?\
         </Question><Answer/></QAPair></QAPairs></Document>",
    );
    assert_eq!(out.records[0].text, "폐렴이란?\nAn infection of the lung.");
    assert_eq!((out.records.len(), out.records[1].text.as_str()), (2, "왜?"));
    let out = schema(
        XmlSchema::Cnxml,
        "<document xmlns='u'><title>염증</title><metadata xmlns:md='m'><md:title>Inflammation</md:title>\
         <md:content-id>m1</md:content-id></metadata><content><section><title>개요</title><para>Acute \
         <term>inflammation</term>은 급성이다.</para><media><image/>alt</media></section></content>\
         <glossary><definition><term>CT</term><meaning>단층촬영</meaning></definition></glossary></document>",
    );
    let text = out.records[0].text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(text, "염증 개요 Acute inflammation은 급성이다. CT 단층촬영");
    assert_eq!(out.records[0].id.as_deref(), Some("m1"));
}

#[test]
fn own_paths_go_before_those_of_the_schema() {
    let source = SourceConfig {
        schema: Some(XmlSchema::Medquad),
        text: vec!["QAPair/Answer".into()],
        id: Some("Question".into()),
        ..SourceConfig::default()
    };
    let text = "<QAPair><Question>왜?</Question><Answer>답 answer</Answer></QAPair>";
    let out = read_text(text, &source);
    assert_eq!(
        (out.records[0].id.as_deref(), out.records[0].text.as_str()),
        (Some("왜?"), "답 answer")
    );
}

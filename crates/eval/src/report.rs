//! `report.html`: one page that holds all it needs.
//!
//! Owns the page; what it shows is given to it as facts, plots and tables.
//!
//! Invariant: the page asks for nothing outside itself (its own policy forbids it), has no script,
//! and every text in it is escaped.

use std::fmt::Write;
use std::path::Path;

use bimed_artifact::write_atomic;

use crate::Result;
use crate::escape::escape;
use crate::plot::{LinePlot, STYLE};
use crate::table::Table;

/// What a page shows, in this order.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The heading.
    pub title: String,
    /// The page's language as a BCP 47 tag: `en`, `ko`.
    pub language: String,
    /// What was run, as (name, value).
    pub facts: Vec<(String, String)>,
    /// What to read first.
    pub summary: Option<Table>,
    /// Figures over steps.
    pub plots: Vec<LinePlot>,
    /// Corpus, vocabulary, results.
    pub tables: Vec<Table>,
}

const PAGE_STYLE: &str = "\
:root{color-scheme:light dark;--text:#1d2430;--muted:#5a6472;--rule:#d9dee5;--page:#fff;--band:#f5f7fa}\
@media(prefers-color-scheme:dark){:root{--text:#e7ebf1;--muted:#a5afbd;--rule:#39424f;--page:#161b22;\
--band:#1d242d}}\
*{box-sizing:border-box}body{margin:0 auto;padding:2rem 1.25rem 4rem;max-width:62rem;\
background:var(--page);color:var(--text);word-break:keep-all;overflow-wrap:anywhere;\
font:16px/1.55 system-ui,'Noto Sans KR','Noto Sans CJK KR','Malgun Gothic','Apple SD Gothic Neo',sans-serif}\
h1{font-size:1.6rem;line-height:1.25;margin:0 0 1rem}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.2rem;margin:0 0 1.5rem}\
dt{color:var(--muted)}dd{margin:0}\
.plots{display:grid;margin-top:2rem;gap:1.2rem;grid-template-columns:repeat(auto-fit,minmax(min(26rem,100%),1fr))}\
.plots figure{margin:0}.plots svg{width:100%;height:auto;display:block}\
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.92rem;min-width:100%}\
th,td{padding:.32rem .7rem;text-align:left;border-bottom:1px solid var(--rule);white-space:nowrap}\
th{color:var(--muted);font-weight:600}td.number,th.number{text-align:right;\
font-variant-numeric:tabular-nums}tbody tr:hover{background:var(--band)}\
summary{cursor:pointer;color:var(--muted);margin:2.2rem 0 .6rem}summary h2{display:inline;\
color:var(--text);margin:0}\
.note{color:var(--muted);font-size:.88rem;margin:.5rem 0 0}\
@media print{body{max-width:none;padding:0}section,figure{break-inside:avoid}}";

impl Report {
    /// The page.
    pub fn to_html(&self) -> String {
        let title = escape(&self.title);
        let mut page = format!(
            "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" \
             content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <title>{title}</title>\n<style>\n{PAGE_STYLE}\n{STYLE}\n</style>\n</head>\n<body>\n\
             <h1>{title}</h1>\n",
            escape(&self.language)
        );
        if !self.facts.is_empty() {
            page.push_str("<dl>\n");
            for (name, value) in &self.facts {
                let _ = writeln!(page, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
            }
            page.push_str("</dl>\n");
        }
        page.push_str(&self.summary.as_ref().map(Table::to_html).unwrap_or_default());
        if !self.plots.is_empty() {
            page.push_str("<section class=\"plots\">\n");
            for plot in &self.plots {
                let _ = writeln!(page, "<figure>{}</figure>", plot.to_inline_svg());
            }
            page.push_str("</section>\n");
        }
        for table in &self.tables {
            page.push_str(&table.to_html());
        }
        page.push_str("</body>\n</html>\n");
        page
    }

    /// Writes the page to `path`.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write(&self, path: &Path) -> Result<()> {
        Ok(write_atomic(path, self.to_html().as_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::Series;
    use crate::table::{Cell, TableColumn};

    fn report(text: &str) -> Report {
        let text = text.to_owned();
        let series = vec![Series { name: text.clone(), points: vec![(0.0, 1.0)] }; 2];
        Report {
            title: text.clone(),
            language: "ko".to_owned(),
            facts: vec![(text.clone(), text.clone())],
            summary: None,
            plots: vec![LinePlot { title: text.clone(), series, ..LinePlot::default() }],
            tables: vec![Table {
                title: text.clone(),
                note: text.clone(),
                columns: vec![TableColumn::left(&text)],
                rows: vec![vec![Cell::plain(text)]],
            }],
        }
    }

    #[test]
    fn text_is_escaped_wherever_it_stands() {
        let page = report("<script>\"x\" & 환자</script>").to_html();
        assert!(!page.contains("<script"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;").count(), 14);
    }

    #[test]
    fn the_page_names_no_address_but_the_namespace_of_svg() {
        let page = report("흉부 CT").to_html().replace("http://www.w3.org/2000/svg", "");
        for outside in ["http:", "https:", "url(", "src=", "href=", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("<html lang=\"ko\">"));
    }
}

//! The report at a glance, as SVG: what the rows are, and tokens a word of each language.
//!
//! Widths of text are not known without a font: names are cut, and bars begin at one place.

use std::fmt::Write;

use super::{VocabReport, VocabularyReport};
use crate::pieces::RowsByScript;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 90.0;
const BAR: f64 = 16.0;
const GAP: f64 = 5.0;
/// The longest name in characters.
const MAX_NAME: usize = 20;

/// From this percentage of unknown words on a bar is grey: an unknown word is one token, which is no
/// merit.
const TOO_MANY_UNKNOWN: f64 = 5.0;

/// Colours: Okabe and Ito 2008, told apart by the colour-blind, lighter on a dark ground.
const STYLE: &str = "\
svg{--c0:#0072b2;--c1:#d55e00;--c2:#00805c;--c3:#b0528a;--c4:#9aa3ad;--ink:#1d2430;\
--soft:#5a6472;--ground:#fff}@media(prefers-color-scheme:dark){svg{--c0:#56b4e9;--c1:#f08a3c;\
--c2:#2fc79a;--c3:#e39fc6;--c4:#707a85;--ink:#e7ebf1;--soft:#a5afbd;--ground:#161b22}}\
text{font:12px system-ui,'Noto Sans KR','Noto Sans CJK KR','Malgun Gothic',sans-serif;\
fill:var(--soft)}.title{font-size:14px;font-weight:600;fill:var(--ink)}.name{text-anchor:end}\
.ground{fill:var(--ground)}.c0{fill:var(--c0)}.c1{fill:var(--c1)}.c2{fill:var(--c2)}\
.c3{fill:var(--c3)}.c4{fill:var(--c4)}";

/// What is drawn so far, and how far down it reaches.
struct Page {
    svg: String,
    y: f64,
}

impl VocabReport {
    /// A picture of it, an SVG document that stands alone.
    pub fn to_svg(&self) -> String {
        let mut page = Page { svg: String::new(), y: 12.0 };
        self.draw_rows(&mut page);
        let languages: Vec<&String> =
            self.vocabularies.first().iter().flat_map(|entry| entry.by_language.keys()).collect();
        for language in languages {
            let fertility = |entry: &VocabularyReport| {
                entry.by_language.get(language).map_or(0.0, |measures| measures.fertility)
            };
            let unknown = |entry: &VocabularyReport| {
                entry.by_language.get(language).map_or(0.0, |measures| measures.unk_word_rate)
            };
            let title = format!("Tokens a word: {language}");
            self.draw_bars(&title, fertility, unknown, &mut page);
        }
        if self.vocabularies.iter().any(|entry| entry.code_mix.words > 0) {
            let pieces = |entry: &VocabularyReport| entry.code_mix.pieces_per_word;
            let unknown = |entry: &VocabularyReport| entry.code_mix.unk_word_rate;
            self.draw_bars("Tokens a code-mixed word (CT상)", pieces, unknown, &mut page);
        }
        let height = page.y + 8.0;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 {WIDTH} {height}\">\n\
             <title>Vocabularies side by side</title>\n<style>{STYLE}</style>\n\
             <rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\"/>\n{}</svg>\n",
            page.svg
        )
    }

    fn draw_rows(&self, page: &mut Page) {
        page.title("Rows by script");
        let names = ["Hangul", "Latin", "digits", "Han", "other and special"];
        for (index, name) in names.iter().enumerate() {
            let x = LEFT + index as f64 * 105.0;
            page.rectangle(index, x, 12.0);
            page.text("", x + 18.0, name);
        }
        page.y += BAR + GAP;
        let most = self.vocabularies.iter().map(|entry| entry.rows).max().unwrap_or(1).max(1);
        for entry in &self.vocabularies {
            page.name(&entry.name);
            let scale = (WIDTH - LEFT - RIGHT) / most as f64;
            let mut x = LEFT;
            for (index, rows) in parts(entry).into_iter().enumerate() {
                page.rectangle(index, x, rows as f64 * scale);
                x += rows as f64 * scale;
            }
            page.text("", x + 6.0, &entry.rows.to_string());
            page.y += BAR + GAP;
        }
    }

    fn draw_bars(
        &self,
        title: &str,
        value: impl Fn(&VocabularyReport) -> f64,
        unknown: impl Fn(&VocabularyReport) -> f64,
        page: &mut Page,
    ) {
        page.title(title);
        let most = self.vocabularies.iter().map(&value).fold(1e-9, f64::max);
        for entry in &self.vocabularies {
            page.name(&entry.name);
            let width = value(entry) / most * (WIDTH - LEFT - RIGHT - 70.0);
            let unknown = 100.0 * unknown(entry);
            page.rectangle(if unknown < TOO_MANY_UNKNOWN { 0 } else { 4 }, LEFT, width);
            let note =
                if unknown >= 0.1 { format!(", {unknown:.1}% [UNK]") } else { String::new() };
            page.text("", LEFT + width + 6.0, &format!("{:.2}{note}", value(entry)));
            page.y += BAR + GAP;
        }
    }
}

/// Rows of Hangul, Latin, digits, Han, and all others.
fn parts(entry: &VocabularyReport) -> [usize; 5] {
    let (a, b): (RowsByScript, RowsByScript) = (entry.initial, entry.continuation);
    let letters = [a.hangul + b.hangul, a.latin + b.latin, a.digit + b.digit, a.han + b.han];
    let [hangul, latin, digit, han] = letters;
    [hangul, latin, digit, han, entry.rows - letters.iter().sum::<usize>()]
}

impl Page {
    fn title(&mut self, title: &str) {
        self.y += 14.0;
        self.text("title", 12.0, title);
        self.y += BAR + GAP;
    }

    fn name(&mut self, name: &str) {
        let mut short: String = name.chars().take(MAX_NAME).collect();
        if short.len() < name.len() {
            short.push('…');
        }
        self.text("name", LEFT - 8.0, &short);
    }

    fn text(&mut self, class: &str, x: f64, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let y = self.y + BAR - 4.0;
        let _ =
            writeln!(self.svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
    }

    fn rectangle(&mut self, colour: usize, x: f64, width: f64) {
        let y = self.y;
        let _ = writeln!(
            self.svg,
            "<rect class=\"c{colour}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\"/>"
        );
    }
}

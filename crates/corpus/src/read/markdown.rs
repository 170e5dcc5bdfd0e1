//! Markdown, with kramdown and R Markdown attributes and embedded HTML, reduced to text.

use std::sync::LazyLock;

use regex::Regex;

use super::markup::plain;

static INLINE: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    [
        // Attributes: `{: data-type="term"}`, `{#id .class}`.
        (r#"\{(?:[:#.]|-\})(?:[^{}"]|"[^"]*")*\}"#, ""),
        // Bare cross references: `([\[link\]](#fig))`.
        (r"\(?\[\\\[link\\\]\]\([^)]*\)\)?", ""),
        (r"\\@ref\([^)]*\)", ""),
        (r"\[@[^\]]*\]", ""),
        (r"\[\^[^\]]*\]:?", ""),
        // Images keep their description, links their text.
        (r#"!\[((?:\\.|[^\]\\])*)\]\((?:[^()"]|"[^"]*"|\([^()]*\))*\)"#, "$1"),
        (r#"\[((?:\\.|[^\]\\])*)\]\((?:[^()"]|"[^"]*"|\([^()]*\))*\)"#, "$1"),
        (r"\[((?:\\.|[^\]\\])*)\]\[[^\]]*\]", "$1"),
        (r"<(?:https?|mailto):[^>\s]*>", ""),
        (r"\*\*(\S(?:[^*]*\S)?)\*\*", "$1"),
        (r"\*([^\s*](?:[^*\n]*[^\s*])?)\*", "$1"),
        (r"(^|[^\w])__?([^\s_](?:[^_\n]*[^\s_])?)__?($|[^\w])", "$1$2$3"),
        (r"`([^`\n]*)`", "$1"),
        (r"\\([\\`*_{}\[\]()#+.!|<>~-])", "$1"),
    ]
    .into_iter()
    .filter_map(|(pattern, to)| Regex::new(pattern).ok().map(|pattern| (pattern, to)))
    .collect()
});

static LINE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^\s*(?:>\s?)*(?:#{1,6}\s+|[*+-]\s+)?").ok());

/// The running text: front matter, code blocks, markup and attributes are taken out, and the HTML
/// elements named in `skip`.
pub(super) fn text(markdown: &str, skip: &[String]) -> String {
    let body = without_front_matter(markdown);
    let mut lines = String::with_capacity(body.len());
    let mut fence: Option<&str> = None;
    for line in body.lines() {
        let trimmed = line.trim_start();
        let marker = ["```", "~~~"].into_iter().find(|marker| trimmed.starts_with(marker));
        match (fence, marker) {
            (None, Some(marker)) => fence = Some(marker),
            (Some(open), Some(marker)) if open == marker => fence = None,
            (Some(_), _) => {}
            (None, None) => {
                if let Some(line) = reduce(line) {
                    lines.push_str(&line);
                }
                lines.push('\n');
            }
        }
    }
    let mut reduced = plain(&lines, skip);
    for (pattern, to) in INLINE.iter() {
        reduced = pattern.replace_all(&reduced, *to).into_owned();
    }
    reduced
}

/// Keys of which front matter has one, so that a conversation between two rules is none. Source: the
/// front matter of Jekyll, Hugo, Pandoc and Docusaurus.
const KEYS: [&str; 8] =
    ["title", "layout", "author", "date", "tags", "description", "output", "slug"];

/// Whether `text` opens with front matter: keys and their values between two rules.
pub(super) fn has_front_matter(text: &str) -> bool {
    let key = |line: &str| {
        let key = line.split_once(':').map_or("", |(key, _)| key);
        let is_key = key.bytes().all(|one| one.is_ascii_alphanumeric() || b"_-".contains(&one));
        if is_key { key.to_ascii_lowercase() } else { String::new() }
    };
    // Values may go on below their key, as lists and blocks do.
    let goes_on = |line: &str| line.is_empty() || line.starts_with([' ', '\t', '-', '#']);
    front_matter(text).is_some_and(|(matter, _)| {
        matter.lines().any(|line| KEYS.contains(&key(line).as_str()))
            && matter.lines().all(|line| goes_on(line) || !key(line).is_empty())
    })
}

fn without_front_matter(markdown: &str) -> &str {
    front_matter(markdown).map_or(markdown, |(_, body)| body)
}

/// What stands between the rule that a text opens with and the next, and the text behind it.
fn front_matter(markdown: &str) -> Option<(&str, &str)> {
    let text = markdown.trim_start_matches('\u{FEFF}');
    let rest = text.strip_prefix("---\n").or_else(|| text.strip_prefix("---\r\n"))?;
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if matches!(line.trim_end(), "---" | "...") {
            return Some((&rest[..at], &rest[at + line.len()..]));
        }
        at += line.len();
    }
    None
}

/// A line without its markers; `None` for rules and the rules of tables.
fn reduce(line: &str) -> Option<String> {
    let trimmed = line.trim();
    let is_rule = trimmed.len() >= 3
        && trimmed
            .chars()
            .all(|character| matches!(character, '-' | '*' | '_' | '=' | '|' | ':' | ' ' | '+'));
    if is_rule {
        return None;
    }
    let marker =
        LINE.as_ref().and_then(|pattern| pattern.find(line)).map_or(0, |found| found.end());
    let rest = line[marker..].trim_end();
    if let Some(row) = rest.strip_prefix('|') {
        return Some(row.trim_end_matches('|').trim().to_owned());
    }
    let heading = line.trim_start().starts_with('#');
    Some(if heading { rest.trim_end_matches('#').trim_end().to_owned() } else { rest.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(markdown: &str, expected: &str) {
        let found = text(markdown, &[]);
        let found: Vec<_> = found.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(found.join("\n"), expected);
    }

    #[test]
    fn front_matter_code_and_markers_go() {
        check(
            "---\ntitle: 폐렴\n---\n\n# 폐렴 {#pneumonia}\n\n> 인용 *강조*\n\n- 항목 하나\n* item two\n",
            "폐렴\n인용 강조\n항목 하나\nitem two",
        );
        check("앞\n```{r, echo=FALSE}\nplot(x)\n```\n뒤 `CT`상\n\n---\n", "앞\n뒤 CT상");
    }

    #[test]
    fn links_attributes_and_html_become_text() {
        check(
            "**Hair**{: data-type=\"term\"} grows ([\\[link\\]](#fig-1)). See [위키](http://a.b/c_(d)).",
            "Hair grows . See 위키.",
        );
        check(
            "<div data-type=\"abstract\" markdown=\"1\">\n개요 &amp; 목표\n</div>",
            "개요 & 목표",
        );
        check(
            "![폐의 단면 \\[CT\\]](../a.jpg \" 제목 (1)\"){: #fig data-title=\"{x}\"}",
            "폐의 단면 [CT]",
        );
    }

    #[test]
    fn tables_and_plain_signs_stay() {
        check("| 한국어 | English |\n|---|:--|\n| 피부 | Skin |", "한국어 | English\n피부 | Skin");
        check(
            "부칙 <제20679호,2008.2.29> 2 * 3 * 4 snake_case_name ___ {환자}",
            "부칙 <제20679호,2008.2.29> 2 * 3 * 4 snake_case_name ___ {환자}",
        );
    }
}

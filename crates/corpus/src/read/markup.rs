//! Tags and entities of HTML, reduced to text.

use super::entity::character;

/// Whether the element stands on lines of its own. Names are those of HTML, JATS and CNXML.
pub(super) fn is_block(name: &str) -> bool {
    matches!(
        name,
        "p" | "para"
            | "div"
            | "title"
            | "section"
            | "sec"
            | "subsec"
            | "item"
            | "list"
            | "list-item"
            | "li"
            | "ul"
            | "ol"
            | "dl"
            | "dt"
            | "dd"
            | "row"
            | "tr"
            | "table"
            | "caption"
            | "figure"
            | "fig"
            | "note"
            | "abstract"
            | "article"
            | "body"
            | "content"
            | "document"
            | "definition"
            | "meaning"
            | "exercise"
            | "problem"
            | "solution"
            | "example"
            | "equation"
            | "disp-formula"
            | "blockquote"
            | "disp-quote"
            | "quote"
            | "pre"
            | "header"
            | "footer"
            | "main"
            | "nav"
            | "aside"
            | "figcaption"
            | "br"
            | "newline"
            | "break"
            | "hr"
            | "label"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
    )
}

/// The text of HTML: scripts, styles, comments and tags taken out, entities resolved. `<` that
/// opens no tag (`<제1조>`, `p < 0.05`) is text. Elements named in `skip` go with what they hold.
pub(super) fn plain(html: &str, skip: &[String]) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        rest = match tag_end(rest) {
            None => {
                out.push('<');
                &rest[1..]
            }
            Some(end) => {
                let name = tag_name(&rest[1..end]);
                if is_block(&name) {
                    out.push('\n');
                } else if matches!(name.as_str(), "td" | "th") {
                    out.push(' ');
                }
                after(rest, end, &name, skip)
            }
        };
    }
    out.push_str(rest);
    entities(&out)
}

/// Past the tag, and past the content of an element whose content is not text.
fn after<'a>(rest: &'a str, end: usize, name: &str, skip: &[String]) -> &'a str {
    let tail = &rest[end..];
    let is_skipped = matches!(name, "script" | "style" | "noscript" | "template")
        || skip.iter().any(|one| one == name);
    if !is_skipped || rest.starts_with("</") || rest[..end].ends_with("/>") {
        return tail;
    }
    let close = format!("</{name}");
    match tail.to_ascii_lowercase().find(&close) {
        Some(at) => &tail[at..],
        None => "",
    }
}

/// One past the `>` of the tag or comment that opens `rest`.
fn tag_end(rest: &str) -> Option<usize> {
    if rest.starts_with("<!--") {
        return Some(rest.find("-->").map_or(rest.len(), |at| at + 3));
    }
    let first = rest[1..].trim_start_matches('/').bytes().next()?;
    if !first.is_ascii_alphabetic() && !matches!(first, b'!' | b'?') {
        return None;
    }
    let mut quote = None;
    for (at, byte) in rest.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at + 1),
            (None, b'<') if at > 0 => return None,
            (None, b'"' | b'\'') if rest.as_bytes()[at - 1] == b'=' => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

fn tag_name(tag: &str) -> String {
    let name = tag.trim_start_matches('/');
    let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(name.len());
    name[..end].to_ascii_lowercase()
}

/// Resolves entities; an `&` that opens none stays.
pub(super) fn entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.bytes().take(34).position(|byte| byte == b';');
        let resolved = end.and_then(|end| Some((end + 1, character(&rest[1..end])?)));
        match resolved {
            Some((end, character)) => {
                out.push(character);
                rest = &rest[end..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(html: &str, expected: &str) {
        assert_eq!(plain(html, &["cnx-pi".to_owned()]), expected);
    }

    #[test]
    fn tags_go_and_text_stays() {
        check("<p class=\"a>b\">폐렴</p>CT<br/>상", "\n폐렴\nCT\n상");
        check("<script>if (a < b) {}</script>글<!-- <p> -->말<style>x</style>", "글말");
        check("부칙 <제20679호> p < 0.05 & b", "부칙 <제20679호> p < 0.05 & b");
        check("앞<cnx-pi a=\"b\"> class=x </cnx-pi><cnx-pi/>뒤", "앞뒤");
        check("&lt;3 &amp; &nbsp;&#44032; &unknown; R&D;", "<3 & \u{A0}가 &unknown; R&D;");
    }
}

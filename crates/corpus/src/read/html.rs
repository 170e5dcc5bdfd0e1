//! Web pages: the main content, or all the text where none is found.

use dom_smoothie::{Config, Readability, TextMode};

use super::markup::plain;

/// The main content; adds 1 to `fallbacks` and gives all the text where none is found.
pub(super) fn main_content(html: &str, fallbacks: &mut u64) -> String {
    let config = Config { text_mode: TextMode::Formatted, ..Config::default() };
    let article = Readability::new(html, None, Some(config)).and_then(|mut page| page.parse());
    match article {
        Ok(article) if !article.text_content.trim().is_empty() => article.text_content.to_string(),
        _ => {
            *fallbacks += 1;
            plain(html, &[])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn menus_go_and_paragraphs_stay() {
        let sentence =
            "폐렴은 폐에 생기는 염증이며, 흉부 CT, X-ray로 진단한다. Antibiotics help, often. ";
        let body = format!("<p>{0}{0}</p><p>{0}{0}{0}</p>", sentence.repeat(3));
        let html = format!(
            "<html><body><nav><a href='/'>메뉴 home</a></nav><article><h1>폐렴</h1>{body}</article>\
             <footer>저작권 copyright</footer></body></html>"
        );
        let mut fallbacks = 0;
        let text = main_content(&html, &mut fallbacks);
        assert!(text.contains("흉부 CT") && !text.contains("home") && !text.contains("copyright"));
        assert!(text.trim().contains('\n'), "paragraphs are apart");
        assert_eq!(fallbacks, 0);
    }

    #[test]
    fn a_page_without_main_content_is_taken_whole_and_counted() {
        let mut fallbacks = 0;
        let text = main_content("<html><body></body></html>", &mut fallbacks);
        assert_eq!((text.trim(), fallbacks), ("", 1));
    }
}

//! Paths of elements: `p`, `body//p` (anywhere below), `title-group/article-title` (right below).

/// The end of the way from the root to an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ElementPath {
    /// Names from the last to the first, each with whether it is right above the one before it.
    steps: Vec<(String, bool)>,
}

impl ElementPath {
    /// The path that `text` spells; `None` where it spells none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (mut steps, mut is_direct) = (Vec::new(), true);
        for name in text.rsplit('/') {
            match (name.is_empty(), is_direct) {
                (true, true) if !steps.is_empty() => is_direct = false,
                (true, _) => return None,
                (false, _) => {
                    steps.push((name.to_owned(), is_direct));
                    is_direct = true;
                }
            }
        }
        (is_direct && !steps.is_empty()).then_some(Self { steps })
    }

    /// Whether it ends at the element `name` below the open elements `above`, the outermost first.
    pub(super) fn is_at(&self, name: &str, above: &[String]) -> bool {
        let Some(((last, _), rest)) = self.steps.split_first() else { return false };
        if last != name {
            return false;
        }
        let mut above = above.iter().rev();
        rest.iter().all(|(step, is_direct)| match is_direct {
            true => above.next() == Some(step),
            false => above.any(|open| open == step),
        })
    }
}

/// The paths that `texts` spell.
pub(super) fn parse_all(texts: &[String]) -> Vec<ElementPath> {
    texts.iter().filter_map(|text| ElementPath::parse(text)).collect()
}

/// Whether `text` spells a path of elements.
pub(crate) fn is_path(text: &str) -> bool {
    ElementPath::parse(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, place: &str, expected: bool) {
        let mut above: Vec<String> = place.split(' ').map(str::to_owned).collect();
        let name = above.pop().unwrap();
        let path = ElementPath::parse(path).unwrap();
        assert_eq!(path.is_at(&name, &above), expected, "{path:?} at {place}");
    }

    #[test]
    fn paths_end_at_elements() {
        check("p", "article body sec p", true);
        check("p", "article body sec", false);
        check("body//p", "article body sec p", true);
        check("body/p", "article body sec p", false);
        check("body/sec/p", "article body sec p", true);
        check("article//sec/p", "article body sec p", true);
        check("front//p", "article body sec p", false);
        check("abstract//abstract//p", "abstract sec p", false);
    }

    #[test]
    fn what_is_no_path_is_told() {
        for text in ["", "/", "/p", "p/", "a///b", "//p", "a//"] {
            assert!(!is_path(text), "{text}");
        }
    }
}

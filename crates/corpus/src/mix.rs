//! Quotas, the split and the keyed hashes of identifiers.

use crate::{Split, SplitConfig};

/// Keyed hashes: identifiers cannot be guessed from them without the key.
pub(crate) struct Keyed([u8; 32]);

impl Keyed {
    /// With the key of the config.
    pub(crate) fn new(config: &SplitConfig) -> Self {
        Self(blake3::derive_key("bimed corpus identifiers", config.key.as_bytes()))
    }

    fn hash(&self, domain: &str, parts: &[&str]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in [domain].iter().chain(parts) {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize()
    }

    /// 32 hexadecimal digits that stand for `parts` in the name space `domain`.
    pub(crate) fn name(&self, domain: &str, parts: &[&str]) -> String {
        self.hash(domain, parts).to_hex()[..32].to_owned()
    }

    /// A number that looks random, for `name`.
    pub(crate) fn draw(&self, domain: &str, name: &str) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.hash(domain, &[name]).as_bytes()[..8]);
        u64::from_le_bytes(bytes)
    }

    /// The split of a group.
    pub(crate) fn split(&self, group: &str, config: &SplitConfig) -> Split {
        // 53 bits, as many as a double holds.
        let share = (self.draw("split", group) >> 11) as f64 / (1u64 << 53) as f64;
        if share < config.valid_fraction { Split::Valid } else { Split::Train }
    }

    /// Which of `documents` (name, words) fit into `max_words`, in an order drawn from their names.
    ///
    /// A document that does not fit is passed over, smaller ones after it may still fit.
    pub(crate) fn within_quota(&self, documents: &[(&str, u64)], max_words: u64) -> Vec<bool> {
        let mut order: Vec<_> = documents
            .iter()
            .enumerate()
            .map(|(index, (name, _))| (self.draw("quota", name), index))
            .collect();
        order.sort_unstable();
        let mut taken = 0;
        let mut within = vec![false; documents.len()];
        for (_, index) in order {
            if taken + documents[index].1 <= max_words {
                taken += documents[index].1;
                within[index] = true;
            }
        }
        within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_changes_names_and_parts_do_not_run_together() {
        let keyed = |key: &str| Keyed::new(&SplitConfig { key: key.into(), ..Default::default() });
        assert_eq!(keyed("a").name("doc", &["환자", "1"]), keyed("a").name("doc", &["환자", "1"]));
        assert_ne!(keyed("a").name("doc", &["환자", "1"]), keyed("b").name("doc", &["환자", "1"]));
        assert_ne!(keyed("a").name("doc", &["환", "자1"]), keyed("a").name("doc", &["환자", "1"]));
    }

    #[test]
    fn the_split_takes_its_share_of_groups() {
        let config = SplitConfig { valid_fraction: 0.1, ..SplitConfig::default() };
        let keyed = Keyed::new(&config);
        let valid = (0..10_000)
            .filter(|number| keyed.split(&format!("환자 {number}"), &config) == Split::Valid)
            .count();
        assert!((850..1150).contains(&valid), "{valid}");
    }

    #[test]
    fn the_quota_is_filled_and_never_passed() {
        let names: Vec<String> = (0..100).map(|number| format!("문서 {number}")).collect();
        let documents: Vec<_> = names.iter().map(|name| (name.as_str(), 10)).collect();
        let keyed = Keyed::new(&SplitConfig::default());
        let within = keyed.within_quota(&documents, 305);
        assert_eq!(within.iter().filter(|taken| **taken).count(), 30);
        assert!(within.iter().rposition(|taken| *taken) > Some(50), "the choice is spread");
    }
}

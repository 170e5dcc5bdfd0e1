//! The shares of a mix, the split and the keyed hashes of identifiers.

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

    /// A number that looks random, for `parts` in the name space `domain`.
    pub(crate) fn number(&self, domain: &str, parts: &[&str]) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.hash(domain, parts).as_bytes()[..8]);
        u64::from_le_bytes(bytes)
    }

    /// [`Self::number`] of one name.
    pub(crate) fn draw(&self, domain: &str, name: &str) -> u64 {
        self.number(domain, &[name])
    }

    /// The split of a group.
    pub(crate) fn split(&self, group: &str, config: &SplitConfig) -> Split {
        // 53 bits, as many as a double holds.
        let share = (self.draw("split", group) >> 11) as f64 / (1u64 << 53) as f64;
        if share < config.valid_fraction { Split::Valid } else { Split::Train }
    }
}

/// How much of each part, of these `sizes`, a mix of `max` takes.
///
/// Shares go as the sizes to the power of 1 / `temperature`: at 1 they are those of the sizes,
/// above it small parts have more. No part gives more than it has; what it lacks, the others give
/// in their proportion.
///
/// Source: Conneau and Lample 2019, "Cross-lingual Language Model Pretraining", section 3.1.
pub(crate) fn shares(sizes: &[u64], max: u64, temperature: f64) -> Vec<u64> {
    let weight = |size: u64| (size as f64).powf(1.0 / temperature);
    let mut shares = vec![0; sizes.len()];
    let mut open: Vec<usize> = (0..sizes.len()).filter(|part| sizes[*part] > 0).collect();
    let mut left = max;
    loop {
        let total: f64 = open.iter().map(|part| weight(sizes[*part])).sum();
        let share = |part: usize| left as f64 * weight(sizes[part]) / total;
        let (full, rest): (Vec<usize>, Vec<usize>) =
            open.iter().partition(|part| share(**part) >= sizes[**part] as f64);
        if full.is_empty() {
            // A share of 750 words may come out a hair below.
            rest.iter().for_each(|part| shares[*part] = (share(*part) + 1e-6) as u64);
            return shares;
        }
        for part in full {
            shares[part] = sizes[part];
            left = left.saturating_sub(sizes[part]);
        }
        open = rest;
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
    fn temperature_gives_small_parts_more_and_no_part_more_than_it_has() {
        assert_eq!(shares(&[900, 100], 100, 1.0), [90, 10]);
        assert_eq!(shares(&[900, 100], 100, 2.0), [75, 25]);
        // A third each, of which the small part has but 10: the others share the rest.
        assert_eq!(shares(&[1000, 1000, 10], 310, 1e9), [150, 150, 10]);
        assert_eq!(shares(&[40, 0, 60], 1000, 2.0), [40, 0, 60]);
    }
}

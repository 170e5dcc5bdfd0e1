use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Source {
    name: String,
    path: PathBuf,
    language: Language,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Language {
    Ko,
    En,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Length {
    Steps(u64),
    Epochs(f64),
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Vocab {
    size: u32,
    quota: f64,
    length: Length,
    specials: Vec<String>,
}

impl Default for Vocab {
    fn default() -> Self {
        Self { size: 8000, quota: 0.5, length: Length::Steps(10), specials: Vec::new() }
    }
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Head {
    name: String,
    paths: BTreeMap<String, String>,
}

type Config = (Head, Vec<Source>, Vocab);

fn compose(composer: &mut Composer<'_>) -> Option<Config> {
    composer.sections(&["experiment", "corpus", "vocab"]);
    let head = composer.read("experiment", &[], |_: &Head| Vec::new());
    let sources = composer.read_each("corpus.source", |_: &Source| Vec::new());
    let vocab = composer.read("vocab", &["use"], |vocab: &Vocab| {
        let mut faults = Vec::new();
        if !(0.0..=1.0).contains(&vocab.quota) {
            faults.push(("quota".into(), format!("is `{}`, expected 0 to 1", vocab.quota)));
        }
        if vocab.size < 100 {
            faults.push(("size".into(), format!("is `{}`, expected 100 or more", vocab.size)));
        }
        faults
    });
    Some((head?, sources, vocab?))
}

fn arms(
    text: &str,
    environment: &[(&str, &str)],
    sets: &[&str],
) -> Result<Vec<Arm<Config>>, String> {
    let environment = environment.iter().map(|(name, text)| ((*name).into(), (*text).into()));
    let sets: Vec<String> = sets.iter().map(|set| (*set).into()).collect();
    let path = Path::new("x.toml");
    ExperimentFile::parse(text, path, PathBuf::from("/configs"), environment, &sets)
        .arms(compose)
        .map_err(|faults| faults.to_string())
}

fn faults(text: &str, sets: &[&str]) -> String {
    arms(text, &[], sets).expect_err("the file has faults")
}

#[test]
fn every_fault_is_shown_at_once_with_its_place() {
    let text = r#"
[experimnt]
name = "x"

[[corpus.source]]
name = "교과서"
path = "a"
language = "kr"

[[corpus.source]]
pth = "b"
language = "en"

[vocab]
siz = 3
quota = 1.5
size = -1
length = { step = 10 }
specials = ["[MASK]", 7]
frobnicate = true
"#;
    insta::assert_snapshot!(faults(text, &[]), @r"
    `x.toml` has 11 faults
      x.toml:2:2: unknown key `experimnt`
        hint: did you mean `experiment`?
      x.toml:8:12: `corpus.source[0].language`: found `kr`, expected `ko` or `en`
        hint: did you mean `ko`?
      x.toml:10:1: `corpus.source[1].name` is missing
      x.toml:10:1: `corpus.source[1].path` is missing
      x.toml:11:1: unknown key `corpus.source[1].pth`
        hint: did you mean `corpus.source[1].path`?
      x.toml:15:1: unknown key `vocab.siz`
        hint: did you mean `vocab.size`?
      x.toml:16:9: `vocab.quota` is `1.5`, expected 0 to 1
      x.toml:17:8: `vocab.size`: found `-1`, expected an integer of 0 or more
      x.toml:18:10: `vocab.length`: found `step`, expected `steps` or `epochs`
        hint: did you mean `steps`?
      x.toml:19:23: `vocab.specials[1]`: found `7`, expected a string
      x.toml:20:1: unknown key `vocab.frobnicate`
        hint: the keys here are `length`, `quota`, `size`, `specials` and `use`
    ");
}

#[test]
fn syntax_faults_are_shown_together_with_the_others() {
    let text = "[vocab]\nsize = \nquota = 2.0\nspecials = [1\n";
    insta::assert_snapshot!(faults(text, &[]), @r"
    `x.toml` has 4 faults
      x.toml:2:8: string values must be quoted, expected literal string
      x.toml:3:9: `vocab.quota` is `2`, expected 0 to 1
      x.toml:4:13: `vocab.specials[0]`: found `1`, expected a string
      x.toml:4:14: unclosed array, expected `]`
    ");
}

#[test]
fn a_fault_of_a_layer_names_the_layer() {
    let text = "[vocab]\nsize = 500\n";
    let sets = ["vocab.size=5", "vocab.quota=high", "vocab.size.x=1", "vocab", "vocap.size=1"];
    insta::assert_snapshot!(faults(text, &sets), @r"
    `x.toml` has 5 faults
      --set vocab: found no `=`, expected `key=value`
        hint: write `--set section.key=value`
      --set vocab.quota=high: `vocab.quota`: found the string `high`, expected a number
      --set vocab.size.x=1: cannot set `vocab.size.x`: `vocab.size` is an integer
      --set vocab.size=5: `vocab.size` is `5`, expected 100 or more
      --set vocap.size=1: unknown key `vocap`
        hint: did you mean `vocab`?
    ");
    let environment = [("BIMED__VOCAB__QUOTA", "-1")];
    insta::assert_snapshot!(arms(text, &environment, &[]).unwrap_err(), @r"
    `x.toml` has 1 fault
      environment variable `BIMED__VOCAB__QUOTA`: `vocab.quota` is `-1`, expected 0 to 1
    ");
}

#[test]
fn arms_are_checked_too_and_a_shared_fault_is_shown_once() {
    let text = r#"
[vocab]
quota = 3.0
[[arm]]
name = "one"
set = { "vocab.size" = 7 }
[[arm]]
name = "두번째"
[[arm]]
name = "one"
sett = 1
"#;
    insta::assert_snapshot!(faults(text, &[]), @r"
    `x.toml` has 4 faults
      x.toml:3:9: `vocab.quota` is `3`, expected 0 to 1
      x.toml:6:24: `vocab.size` is `7`, expected 100 or more
      x.toml:8:8: `arm[1].name` is `두번째`, expected 1 to 64 of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`
      x.toml:11:1: unknown key `arm[2].sett`
        hint: did you mean `arm[2].set`?
    ");
}

#[test]
fn variables_and_paths_resolve_against_their_layer() {
    let text = r#"
[experiment.paths]
data = "../data"
sample = "{data}/sample"
[[corpus.source]]
name = "교과서"
path = "{sample}/장.html"
language = "ko"
[[corpus.source]]
name = "notes"
path = "notes.csv.gz"
language = "en"
"#;
    let paths = |sets: &[&str]| -> Vec<PathBuf> {
        let arms = arms(text, &[], sets).unwrap();
        arms[0].config.1.iter().map(|source| source.path.clone()).collect()
    };
    assert_eq!(
        paths(&[]),
        [PathBuf::from("/data/sample/장.html"), PathBuf::from("/configs/notes.csv.gz")]
    );
    assert_eq!(paths(&["experiment.paths.data=/mnt"])[0], PathBuf::from("/mnt/sample/장.html"));
    assert_eq!(paths(&["corpus.source.notes.path=here.csv"])[1], PathBuf::from("here.csv"));
    insta::assert_snapshot!(faults(text, &["corpus.source.0.path={dat}/x"]), @r"
    `x.toml` has 1 fault
      --set corpus.source.0.path={dat}/x: unknown variable `{dat}`
        hint: did you mean `{data}`?
    ");
}

#[test]
fn layers_win_in_order_file_arm_environment_set() {
    let text = r#"
[vocab]
size = 1000
quota = 0.1
[[arm]]
name = "a"
[[arm]]
name = "b"
set = { "vocab.size" = 2000, "vocab.length" = { epochs = 2 }, vocab.specials = ["[DEID]"] }
"#;
    let check = |environment: &[(&str, &str)], sets: &[&str], expected: [u32; 2]| {
        let arms = arms(text, environment, sets).unwrap();
        assert_eq!([arms[0].config.2.size, arms[1].config.2.size], expected);
    };
    check(&[], &[], [1000, 2000]);
    check(&[("BIMED__VOCAB__SIZE", "3000")], &[], [3000, 3000]);
    check(&[("BIMED__VOCAB__SIZE", "3000")], &["vocab.size=4_000"], [4000, 4000]);
    let arms = arms(text, &[], &[]).unwrap();
    assert_eq!(arms[1].config.2.length, Length::Epochs(2.0));
    assert_eq!(arms[1].config.2.specials, ["[DEID]"]);
    let resolved = toml::to_string(&arms[1].resolved).unwrap();
    assert!(resolved.contains("size = 2000") && !resolved.contains("arm"), "{resolved}");
}

//! Who may use whom: the table of `docs/ARCHITECTURE.md` is the law.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

use crate::workspace::{expect_none, root, rust_files, text};

/// External crates that the table speaks of.
const NOTABLE: [&str; 1] = ["burn"];

/// Crates that speak to a network. `bimed` has none of them.
const NETWORK: [&str; 16] = [
    "attohttpc",
    "axum",
    "curl",
    "curl-sys",
    "h2",
    "hf-hub",
    "hyper",
    "isahc",
    "native-tls",
    "openssl",
    "quinn",
    "reqwest",
    "rustls",
    "surf",
    "tonic",
    "ureq",
];

type Table = BTreeMap<String, BTreeSet<String>>;

fn metadata() -> &'static Metadata {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
    METADATA.get_or_init(|| {
        MetadataCommand::new()
            .manifest_path(root().join("Cargo.toml"))
            .no_deps()
            .exec()
            .expect("`cargo metadata` reads the workspace")
    })
}

fn members() -> impl Iterator<Item = (&'static str, &'static Package)> {
    metadata().workspace_packages().into_iter().map(|package| {
        let name = package.name.as_str();
        (name.strip_prefix("bimed-").unwrap_or(name), package)
    })
}

/// The rows `| crate | owns | may use |` under the heading `## Crates`.
fn table_of_the_document() -> Table {
    let document = text("docs/ARCHITECTURE.md");
    let section = document.split("## Crates").nth(1).expect("a section `## Crates`");
    let section = section.split("\n## ").next().unwrap_or(section);
    section.lines().filter_map(table_row).collect()
}

fn table_row(line: &str) -> Option<(String, BTreeSet<String>)> {
    let cells: Vec<&str> = line.trim().strip_prefix('|')?.split('|').map(str::trim).collect();
    let name = cells.first()?.strip_prefix('`')?.strip_suffix('`')?;
    let used = cells.get(2)?;
    let used = used.split(',').map(|name| name.trim().trim_matches('`').to_owned());
    Some((name.to_owned(), used.filter(|name| !name.is_empty() && name != "–").collect()))
}

fn table_of_the_manifests() -> Table {
    let names: BTreeSet<&str> = members().map(|(name, _)| name).collect();
    members()
        .map(|(name, package)| {
            let used = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind != DependencyKind::Development)
                .map(|dependency| {
                    dependency.name.strip_prefix("bimed-").unwrap_or(&dependency.name)
                })
                .filter(|used| names.contains(used) || NOTABLE.contains(used));
            (name.to_owned(), used.map(str::to_owned).collect())
        })
        .collect()
}

#[test]
fn the_table_of_the_document_is_what_the_manifests_say() {
    let (document, mut manifests) = (table_of_the_document(), table_of_the_manifests());
    let all: BTreeSet<String> = manifests.keys().cloned().chain(["burn".to_owned()]).collect();
    let mut offenders = Vec::new();
    for (name, said) in &document {
        let Some(used) = manifests.remove(name) else {
            offenders.push(format!("`{name}` is in the table, but no crate"));
            continue;
        };
        // The binary composes everything; the table says so in a word.
        let said = if said.contains("all") { &all } else { said };
        for extra in used.difference(said) {
            offenders.push(format!("`{name}` uses `{extra}`, which its row does not name"));
        }
        if said != &all {
            for unused in said.difference(&used) {
                offenders
                    .push(format!("the row of `{name}` names `{unused}`, which it does not use"));
            }
        }
    }
    offenders.extend(manifests.keys().map(|name| format!("`{name}` has no row")));
    expect_none("docs/ARCHITECTURE.md and the manifests differ", &offenders);
}

#[test]
fn the_kernel_compiler_is_named_in_one_crate_and_any_error_in_one() {
    let mut offenders = Vec::new();
    for (only, name) in [("ops", "cubecl"), ("cli", "anyhow")] {
        for (member, package) in members().filter(|(member, _)| *member != only) {
            let names = package.dependencies.iter().map(|dependency| dependency.name.as_str());
            if names.into_iter().any(|used| used == name || used.starts_with(&format!("{name}-"))) {
                offenders.push(format!("`{member}` depends on `{name}`, which is for `{only}`"));
            }
        }
    }
    let path = "cubecl::";
    let named = rust_files().into_iter().filter(|file| {
        let free = ["crates/ops/", "crates/tidy/", "patches/"];
        !free.iter().any(|free| file.path.starts_with(free)) && file.text.contains(path)
    });
    offenders.extend(named.map(|file| format!("{} names `{path}`", file.path)));
    expect_none("a crate reaches past its boundary", &offenders);
}

/// The lines of `cargo tree`, one a crate.
fn tree(arguments: &[&str], format: &str) -> BTreeSet<String> {
    let command = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--prefix", "none", "--format", format])
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("`cargo tree` runs");
    assert!(command.status.success(), "{}", String::from_utf8_lossy(&command.stderr));
    let lines = String::from_utf8_lossy(&command.stdout).into_owned();
    lines.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

#[test]
fn the_binary_and_the_tests_share_one_build_of_burn() {
    let with_features = "{p} [{f}]";
    let of_binary = tree(&["-p", "bimed-cli", "-e", "normal,build"], with_features);
    let of_tests = tree(&["--workspace", "-e", "normal,build,dev"], with_features);
    let below_burn = tree(&["-p", "burn", "-e", "normal,build"], "{p}");
    let is_below = |line: &&String| {
        line.split(" [").next().is_some_and(|package| below_burn.contains(package))
    };
    let compared: Vec<&String> = of_binary.iter().filter(is_below).collect();
    assert!(compared.len() > 50, "found {} crates below burn", compared.len());
    let offenders: Vec<String> = compared
        .into_iter()
        .filter(|line| !of_tests.contains(*line))
        .map(|line| format!("{line}: the tests build it with other features"))
        .collect();
    let rule =
        "`cargo run` and `cargo test` would each build burn (name the features in cli's manifest)";
    expect_none(rule, &offenders);
}

#[test]
fn the_binary_has_no_crate_that_speaks_to_a_network() {
    let tree = tree(&["-p", "bimed-cli", "-e", "normal"], "{p}");
    let used: BTreeSet<&str> = tree.iter().filter_map(|line| line.split(' ').next()).collect();
    assert!(used.contains("bimed-artifact"), "`cargo tree` shows the binary's crates");
    let offenders: Vec<String> =
        NETWORK.iter().filter(|name| used.contains(*name)).map(ToString::to_string).collect();
    expect_none("text may not leave: the binary links these crates", &offenders);
}

#[test]
fn nothing_in_the_lock_file_downloads_a_compiler() {
    let lock = text("Cargo.lock");
    assert!(lock.contains("name = \"burn\""), "the lock file covers the workspace");
    let offenders: Vec<String> = ["tracel-llvm-bundler", "llvm-sys"]
        .into_iter()
        .filter(|name| lock.contains(&format!("name = \"{name}\"")))
        .map(str::to_owned)
        .collect();
    expect_none("patches/cubecl-llvm no longer stands in", &offenders);
}

#[test]
fn a_row_is_read_as_it_is_written() {
    let row = table_row("| `vocab` | words | `text`, `artifact` |").expect("a row");
    assert_eq!(row.0, "vocab");
    assert_eq!(row.1, ["artifact", "text"].map(str::to_owned).into());
    assert_eq!(table_row("| `text` | letters | – |").expect("a row").1, BTreeSet::new());
    assert_eq!(table_row("|---|---|---|"), None);
}

//! Which files the sources name.

use std::path::{Path, PathBuf};

use bimed_artifact::{Hash, hash_file};
use fs_err as fs;
use globset::{Glob, GlobSet, GlobSetBuilder};
use rayon::prelude::*;

use crate::{Error, MissingPath, Result, SourceConfig};

/// A file of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedFile {
    /// The source's name.
    pub source: String,
    /// The source's place among the sources.
    pub source_index: usize,
    /// The file.
    pub path: PathBuf,
    /// The file relative to the source's path, with `/`.
    pub relative: String,
    /// Its length.
    pub bytes: u64,
    /// The hash of its content.
    pub blake3: Hash,
}

/// The sources whose path is not there.
pub fn missing_paths(sources: &[SourceConfig]) -> Vec<MissingPath> {
    sources.iter().filter(|source| !source.path.exists()).map(missing).collect()
}

fn missing(source: &SourceConfig) -> MissingPath {
    MissingPath { source: source.name.clone(), path: source.path.clone() }
}

/// The files of every source, in the order of the sources and then of their names.
///
/// Hidden files are left out unless the source's path names them.
///
/// # Errors
/// When paths are missing or hold no matching file (all of them at once), or cannot be read.
pub fn scan(sources: &[SourceConfig]) -> Result<Vec<ScannedFile>> {
    let paths = missing_paths(sources);
    if !paths.is_empty() {
        return Err(Error::MissingPaths { paths });
    }
    let mut found = Vec::new();
    let mut without = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let files = files_of(source)?;
        if files.is_empty() {
            without.push(missing(source));
        }
        found.extend(files.into_iter().map(|(relative, path)| (index, relative, path)));
    }
    if !without.is_empty() {
        return Err(Error::NoFiles { paths: without });
    }
    found
        .into_par_iter()
        .map(|(source_index, relative, path)| {
            let source = sources[source_index].name.clone();
            let bytes = fs::metadata(&path)?.len();
            let blake3 = hash_file(&path)?;
            Ok(ScannedFile { source, source_index, path, relative, bytes, blake3 })
        })
        .collect()
}

/// The paths of the files that `source` names, in the order of their names; none is read.
///
/// # Errors
/// When its path is not there or cannot be listed.
pub fn source_files(source: &SourceConfig) -> Result<Vec<PathBuf>> {
    Ok(files_of(source)?.into_iter().map(|(_, path)| path).collect())
}

fn files_of(source: &SourceConfig) -> Result<Vec<(String, PathBuf)>> {
    if source.path.is_file() {
        let name = source.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Ok(vec![(name, source.path.clone())]);
    }
    let include = globs("include", &source.include)?;
    let exclude = globs("exclude", &source.exclude)?;
    let mut files = Vec::new();
    let visible = |entry: &walkdir::DirEntry| {
        entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.')
    };
    for entry in walkdir::WalkDir::new(&source.path).into_iter().filter_entry(visible) {
        let entry = entry.map_err(std::io::Error::from)?;
        if !entry.path().is_file() {
            continue;
        }
        let relative = relative(&source.path, entry.path());
        if (source.include.is_empty() || include.is_match(&relative))
            && !exclude.is_match(&relative)
        {
            files.push((relative, entry.path().to_path_buf()));
        }
    }
    files.sort();
    Ok(files)
}

/// With `/` and composed, so that one tree has one listing on every system.
fn relative(root: &Path, path: &Path) -> String {
    let parts: Vec<_> = path
        .strip_prefix(root)
        .unwrap_or(path)
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    bimed_text::normalize(&parts.join("/"), &bimed_text::FoldOptions::default()).into_owned()
}

fn globs(key: &str, patterns: &[String]) -> Result<GlobSet> {
    let fault = |error: globset::Error| Error::Config { faults: vec![format!("`{key}`: {error}")] };
    let mut builder = GlobSetBuilder::new();
    for pattern in patterns {
        builder.add(Glob::new(pattern).map_err(fault)?);
    }
    builder.build().map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: PathBuf) -> SourceConfig {
        SourceConfig { name: "s".into(), path, ..SourceConfig::default() }
    }

    #[test]
    fn globs_choose_and_names_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["나.txt", "가.txt", "a/b.txt", "c.md", ".hidden.txt"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "폐렴 CT").unwrap();
        }
        let mut source = source(dir.path().to_path_buf());
        source.include = vec!["**/*.txt".into()];
        source.exclude = vec!["나*".into()];
        let listed = source_files(&source).unwrap();
        let files = scan(&[source]).unwrap();
        assert_eq!(listed, [&files[0].path, &files[1].path].map(Clone::clone));
        let names: Vec<_> = files.iter().map(|file| file.relative.as_str()).collect();
        assert_eq!(names, ["a/b.txt", "가.txt"]);
        assert_eq!(files[0].bytes, 9);
    }

    #[test]
    fn all_missing_paths_are_listed() {
        let error = scan(&[source("/none/a".into()), source("/none/b".into())]).unwrap_err();
        let Error::MissingPaths { paths } = error else { panic!("{error}") };
        assert_eq!(paths.len(), 2);
    }
}

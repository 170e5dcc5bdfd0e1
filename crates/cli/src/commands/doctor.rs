//! `bimed doctor`: what works here and what to install. It opens the GPUs of this build and writes
//! nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bimed_corpus::{EngineName, Format, ReaderConfig, test_engines};
use bimed_ops::{DeviceError, DeviceKind};
use fs_err as fs;
use serde_json::json;

use crate::failure::Exit;
use crate::output::{bytes, table};
use crate::session::Session;

/// What the CUDA side opens at run time, and what brings it.
const CUDA_LIBRARIES: [(&str, &str); 2] = [
    ("libcuda.so.1", "the NVIDIA driver"),
    ("libnvrtc.so", "the CUDA toolkit (package `cuda-nvrtc`), or `LD_LIBRARY_PATH`"),
];

/// What NVRTC includes when it compiles CubeCL's kernels, as these name it.
const CUDA_HEADERS: [&str; 5] =
    ["cuda_fp16.h", "cuda_bf16.h", "mma.h", "cooperative_groups.h", "cuda/barrier"];

/// Where headers lie within a CUDA toolkit.
const INCLUDE_DIRECTORIES: [&str; 2] = ["include", "include/cccl"];

/// Processor features that change the speed, as `/proc/cpuinfo` names them.
const CPU_FEATURES: [&str; 6] = ["avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile"];

/// One line of the report.
#[derive(Debug, serde::Serialize)]
struct Finding {
    what: String,
    found: String,
    to_do: String,
}

/// Shows the report.
pub(crate) fn doctor(session: &Session) -> anyhow::Result<Exit> {
    let mut findings = machine();
    findings.extend(features());
    findings.extend(readers());
    let libraries = library_directories();
    findings.extend(cuda_findings(&libraries, &cuda_path()));
    findings.extend([DeviceKind::Cuda(0), DeviceKind::Wgpu].into_iter().filter_map(card));
    let mut rows = vec![["", "found", "to do"].map(str::to_owned).to_vec()];
    rows.extend(
        findings.iter().map(|finding| {
            vec![finding.what.clone(), finding.found.clone(), finding.to_do.clone()]
        }),
    );
    session.result(&table(&rows), &json!({ "event": "result", "findings": findings }));
    Ok(Exit::Done)
}

fn finding(what: impl Into<String>, found: impl Into<String>) -> Finding {
    Finding { what: what.into(), found: found.into(), to_do: String::new() }
}

fn machine() -> Vec<Finding> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut findings = vec![finding("processors", threads.to_string())];
    if let Ok(text) = fs::read_to_string("/proc/cpuinfo") {
        findings.push(finding("processor features", cpu_features(&text)));
    }
    if let Ok(text) = fs::read_to_string("/proc/meminfo") {
        for (what, key) in [("memory", "MemTotal:"), ("memory free", "MemAvailable:")] {
            findings.extend(memory(&text, key).map(|amount| finding(what, bytes(amount))));
        }
    }
    findings
}

fn cpu_features(cpuinfo: &str) -> String {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or("");
    let present: Vec<&str> = flags.split_whitespace().collect();
    let found: Vec<&str> =
        CPU_FEATURES.into_iter().filter(|feature| present.contains(feature)).collect();
    if found.is_empty() { "none that matter".into() } else { found.join(", ") }
}

fn memory(meminfo: &str, key: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with(key))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

fn features() -> Vec<Finding> {
    let feature = |name: &str, compiled: bool| {
        let mut finding =
            finding(format!("device {name}"), if compiled { "built in" } else { "not built in" });
        if !compiled {
            let features = format!("flex,{name}");
            finding.to_do = format!("build with `--no-default-features --features {features}`");
        }
        finding
    };
    vec![
        finding("device cpu", if cfg!(feature = "flex") { "built in" } else { "not built in" }),
        feature("cuda", cfg!(feature = "cuda")),
        feature("wgpu", cfg!(feature = "wgpu")),
    ]
}

/// A GPU that this build has the device for: what it is, or why it cannot be opened.
fn card(kind: DeviceKind) -> Option<Finding> {
    match kind.open() {
        Ok(device) => Some(finding(format!("card {kind}"), DeviceKind::describe(&device)?)),
        Err(DeviceError::NotBuilt { .. }) => None,
        Err(error) => {
            let mut finding = finding(format!("card {kind}"), "cannot be opened");
            finding.to_do = error.to_string();
            Some(finding)
        }
    }
}

/// What reads documents: the formats of this build, and the engines for PDF, which are tried on tiny
/// Korean files.
fn readers() -> Vec<Finding> {
    let mut documents = finding("Word, Excel, EPUB, Hangul", "built in");
    if !Format::Hwp.is_built_in() {
        documents.found = "not built in".into();
        documents.to_do = "build without `--no-default-features`".into();
    }
    let engines = test_engines(&ReaderConfig::default());
    let engines = engines.into_iter().map(|report| {
        let mut result = finding(format!("PDF engine {}", report.engine.name()), "reads Korean");
        if !report.is_trusted() {
            result.to_do = match report.engine {
                EngineName::Pdfium => "for PDF: put `libpdfium.so` beside `bimed`",
                EngineName::Pdftotext => "for PDF: install `poppler-utils` and `poppler-data`",
            }
            .into();
            result.found = match report.is_found {
                true => format!("does not read {}", report.failed.join(", ")),
                false => "missing".into(),
            };
        }
        result
    });
    std::iter::once(documents).chain(engines).collect()
}

fn cuda_findings(libraries: &[PathBuf], cuda: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (library, brought_by) in CUDA_LIBRARIES {
        let mut result = match find_library(libraries, library) {
            Some(path) => finding(library, path.display().to_string()),
            None => finding(library, "missing"),
        };
        if result.found == "missing" {
            let places: Vec<String> =
                libraries.iter().map(|place| place.display().to_string()).collect();
            result.to_do = format!(
                "for `--device cuda`: install {brought_by}; looked for in {}",
                places.join(", ")
            );
        }
        findings.push(result);
    }
    findings.extend(CUDA_HEADERS.map(|header| header_finding(header, cuda)));
    findings
}

fn header_finding(header: &str, cuda: &Path) -> Finding {
    let places = INCLUDE_DIRECTORIES.map(|directory| cuda.join(directory).join(header));
    if let Some(path) = places.iter().find(|path| path.is_file()) {
        return finding(header, path.display().to_string());
    }
    let mut missing = finding(header, "missing");
    missing.to_do = format!(
        "for `--device cuda`: {} is not there: set `CUDA_PATH` to a CUDA toolkit with headers \
         (package `cuda-cudart-dev`, `cuda-cccl`)",
        places[0].display()
    );
    missing
}

/// Where the CUDA toolkit is looked for: as CubeCL does.
fn cuda_path() -> PathBuf {
    let given = std::env::var_os("CUDA_PATH").map(PathBuf::from);
    let usual = || ["/usr/local/cuda", "/opt/cuda"].map(PathBuf::from).into_iter();
    given.or_else(|| usual().find(|path| path.exists())).unwrap_or_else(|| "/usr/local/cuda".into())
}

/// Where the loader looks: `LD_LIBRARY_PATH`, the toolkit, the directories of `/etc/ld.so.conf.d`,
/// the usual ones.
fn library_directories() -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> = std::env::var_os("LD_LIBRARY_PATH")
        .map(|paths| std::env::split_paths(&paths).collect())
        .unwrap_or_default();
    if let Some(cuda) = std::env::var_os("CUDA_PATH") {
        directories.push(Path::new(&cuda).join("lib64"));
    }
    let configured = fs::read_dir("/etc/ld.so.conf.d").into_iter().flatten().flatten();
    for text in configured.filter_map(|entry| fs::read_to_string(entry.path()).ok()) {
        let lines = text.lines().map(str::trim).filter(|line| line.starts_with('/'));
        directories.extend(lines.map(PathBuf::from));
    }
    let usual = [
        "/usr/local/cuda/lib64",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib64",
        "/usr/lib",
        "/usr/lib/wsl/lib",
    ];
    directories.extend(usual.map(PathBuf::from));
    let mut seen = BTreeSet::new();
    directories.retain(|place| !place.as_os_str().is_empty() && seen.insert(place.clone()));
    directories
}

/// The library, or the same with a version behind it.
fn find_library(directories: &[PathBuf], name: &str) -> Option<PathBuf> {
    let versioned = format!("{name}.");
    directories.iter().find_map(|directory| {
        let mut found: Vec<PathBuf> = fs::read_dir(directory)
            .ok()?
            .flatten()
            .filter(|entry| {
                let file = entry.file_name();
                let file = file.to_string_lossy();
                file == name || file.starts_with(&versioned)
            })
            .map(|entry| entry.path())
            .collect();
        found.sort();
        found.into_iter().next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_file_is_named_with_what_brings_it() {
        let root = tempfile::tempdir().unwrap();
        let (library, cuda) = (root.path().join("lib"), root.path().join("cuda"));
        fs::create_dir_all(&library).unwrap();
        fs::create_dir_all(cuda.join("include")).unwrap();
        fs::write(library.join("libnvrtc.so.13"), "").unwrap();
        fs::write(cuda.join("include/cuda_fp16.h"), "").unwrap();
        fs::create_dir_all(cuda.join("include/cccl/cuda")).unwrap();
        fs::write(cuda.join("include/cccl/cuda/barrier"), "").unwrap();
        let findings = cuda_findings(std::slice::from_ref(&library), &cuda);
        let missing: Vec<&str> = findings
            .iter()
            .filter(|finding| !finding.to_do.is_empty())
            .map(|finding| finding.what.as_str())
            .collect();
        assert_eq!(
            missing,
            ["libcuda.so.1", "cuda_bf16.h", "mma.h", "cooperative_groups.h"],
            "`cuda/barrier` lies in the second place"
        );
        let driver = &findings[0];
        assert!(driver.to_do.contains(&library.display().to_string()), "{}", driver.to_do);
    }

    #[test]
    fn features_and_memory_are_read_as_linux_writes_them() {
        assert_eq!(cpu_features("flags\t\t: fpu avx2 fma amx_bf16\n"), "avx2, fma, amx_bf16");
        assert_eq!(cpu_features(""), "none that matter");
        assert_eq!(memory("MemTotal:       24576 kB\n", "MemTotal:"), Some(24 << 20));
    }
}

//! Foreign formats are read in a process of their own: a file that hangs, bursts or crashes its
//! reader costs that file and no more.
//!
//! The program starts itself once more with [`WORKER_ARGUMENT`], writes a request to its input and
//! reads the answer from its output. Nothing a reader prints is shown.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::read::foreign::{Found, Request, answer};
use crate::{ReaderConfig, Reason};

/// The hidden command under which the program reads one file.
pub const WORKER_ARGUMENT: &str = "read-one-file";

/// A larger answer is not believed.
const MAX_ANSWER_BYTES: u64 = 1 << 30;

#[derive(Serialize, Deserialize)]
struct Job {
    request: Request,
    config: ReaderConfig,
}

/// Answers `request`, in a process of its own where the config names the program for it.
pub(crate) fn ask(request: &Request, config: &ReaderConfig) -> Result<Found, Reason> {
    match &config.worker {
        Some(program) => in_process(program, request, config),
        // Without one there are no limits; a reader that panics still costs its file alone.
        None => {
            let answer = std::panic::AssertUnwindSafe(|| answer(request, config));
            std::panic::catch_unwind(answer).unwrap_or(Err(Reason::ReaderFailed))
        }
    }
}

/// Answers one request on `input` to `output`: the whole work of the hidden command.
///
/// # Errors
/// When the request cannot be read or the answer not written.
pub fn serve(mut input: impl Read, mut output: impl Write) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    // What the parser says may quote what it met.
    let invalid = |_| std::io::Error::from(std::io::ErrorKind::InvalidData);
    let Job { request, config } = serde_json::from_slice(&bytes).map_err(invalid)?;
    limits::set(&config)?;
    serde_json::to_writer(&mut output, &answer(&request, &config))?;
    output.flush()
}

fn in_process(program: &Path, request: &Request, config: &ReaderConfig) -> Result<Found, Reason> {
    let job = Job { request: request.clone(), config: config.clone() };
    let job = serde_json::to_vec(&job).map_err(|_| Reason::ReaderFailed)?;
    let mut command = Command::new(program);
    command.arg(WORKER_ARGUMENT);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    limits::own_group(&mut command);
    let mut child = command.spawn().map_err(|_| Reason::ReaderFailed)?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Reason::ReaderFailed);
    };
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        output.take(MAX_ANSWER_BYTES).read_to_end(&mut bytes).map(|_| bytes)
    });
    // A worker that is gone has closed its input; that it is gone is seen below.
    let _ = input.write_all(&job);
    drop(input);
    let ended = wait(&mut child, Duration::from_secs(config.timeout_seconds));
    if !ended {
        limits::kill(&mut child);
        let _ = child.wait();
        return Err(Reason::TimedOut);
    }
    let bytes = reader.join().ok().and_then(Result::ok).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or(Err(Reason::ReaderFailed))
}

/// Whether `child` ends within `time`.
fn wait(child: &mut Child, time: Duration) -> bool {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    while start.elapsed() < time {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(pause),
            Ok(Some(_)) | Err(_) => return true,
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    false
}

/// What a worker may take, and how it is ended. Elsewhere than on Unix there is the time alone.
#[cfg(unix)]
mod limits {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, setrlimit};

    use crate::ReaderConfig;

    pub(super) fn set(config: &ReaderConfig) -> std::io::Result<()> {
        let limit = |value| Rlimit { current: Some(value), maximum: Some(value) };
        setrlimit(Resource::As, limit(config.memory_bytes))?;
        // A dump would hold the document.
        setrlimit(Resource::Core, limit(0))?;
        // Should the parent die, this process does not outlive its time for long.
        setrlimit(Resource::Cpu, limit(config.timeout_seconds + 5))?;
        Ok(())
    }

    /// Its children end with it, and an interrupt of the parent is not taken for its fault.
    pub(super) fn own_group(command: &mut Command) {
        command.process_group(0);
    }

    pub(super) fn kill(child: &mut Child) {
        if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended this moment.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(not(unix))]
mod limits {
    use std::process::{Child, Command};

    use crate::ReaderConfig;

    pub(super) fn set(_: &ReaderConfig) -> std::io::Result<()> {
        Ok(())
    }

    pub(super) fn own_group(_: &mut Command) {}

    pub(super) fn kill(child: &mut Child) {
        let _ = child.kill();
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use fs_err as fs;

    use super::*;

    fn check(script: &str, expected: Result<&str, Reason>) {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("worker");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let config =
            ReaderConfig { timeout_seconds: 1, worker: Some(program), ..ReaderConfig::default() };
        let answer = ask(&Request::TestEngines, &config);
        let answer = answer.map(|found| serde_json::to_string(&found).unwrap());
        assert_eq!(answer.as_deref().map_err(|reason| *reason), expected, "{script}");
    }

    #[test]
    fn a_worker_costs_its_file_and_no_more() {
        check(
            "cat > /dev/null; echo '{\"Ok\":{\"Text\":\"폐렴 CT\"}}'",
            Ok("{\"Text\":\"폐렴 CT\"}"),
        );
        check("cat > /dev/null; echo '{\"Err\":\"garbled\"}'", Err(Reason::Garbled));
        check("sleep 60 & sleep 60", Err(Reason::TimedOut));
        check("exit 1", Err(Reason::ReaderFailed));
        check("kill -SEGV $$", Err(Reason::ReaderFailed));
        check("echo 홍길동", Err(Reason::ReaderFailed));
    }

    #[test]
    fn a_request_is_answered_once() {
        let job = Job {
            request: Request::Read {
                path: "/none/홍길동.docx".into(),
                source: Box::default(),
                engine: None,
            },
            config: ReaderConfig { memory_bytes: u64::MAX, ..ReaderConfig::default() },
        };
        let answer = answer(&job.request, &job.config);
        assert!(matches!(answer, Err(Reason::ReaderFailed)));
    }
}

//! The `bimed` binary: everything that a user types or sees.
//!
//! Owns arguments, experiment files, the order of the stages, progress, exit codes and the allocator.
//! The work itself is in the libraries, which know nothing of this crate.
//!
//! Invariant: whatever is wrong with a command line or an experiment file is said before anything is
//! written.

mod args;
mod commands;
mod experiment;
mod failure;
mod output;
mod paths;
mod process;
mod progress;
mod sections;
mod session;
mod stages;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Command};
use commands::Last;
use failure::Exit;
use process::Signals;
use session::Session;

fn main() -> ExitCode {
    process::keep_freed_pages();
    process::forbid_core_dumps();
    process::hide_panic_payloads();
    let exit = std::panic::catch_unwind(run).unwrap_or(Exit::Failed);
    ExitCode::from(exit.code())
}

fn run() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are results; the rest are faults of usage, exit code 2.
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            output::error(&format!("error: cannot listen for signals: {error}\n"));
            return Exit::Failed;
        }
    };
    let session = Session::new(cli.global, signals);
    match dispatch(&session, cli.command) {
        Ok(exit) => exit,
        Err(error) => {
            let exit = failure::exit_of(&error, session.signals.received());
            output::error(&failure::render(&error));
            session.reporter.event(&serde_json::json!({
                "event": "error",
                "message": format!("{error:#}"),
                "exit_code": exit.code(),
            }));
            exit
        }
    }
}

fn dispatch(session: &Session, command: Command) -> anyhow::Result<Exit> {
    if let Some(threads) = session.global.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global()?;
    }
    match command {
        Command::New(args) => commands::new(session, &args),
        Command::Doctor => commands::doctor(session),
        Command::ReadOneFile => commands::read_one_file(),
        Command::Inspect(args) => commands::inspect(session, &args),
        Command::Merge(args) => commands::merge(session, &args),
        Command::Finetune(_) => commands::comes_later("finetune"),
        Command::Predict(_) => commands::comes_later("predict"),
        Command::Explain(_) => commands::comes_later("explain"),
        Command::Compare(args) => commands::compare(session, &args),
        Command::Run(args) => commands::run(session, &args, Last::All),
        Command::Corpus(args) => commands::corpus(session, &args),
        Command::Vocab(args) => commands::run(session, &args, Last::Vocab),
        Command::Encode(args) => commands::run(session, &args, Last::Encode),
        Command::Transplant(args) => commands::run(session, &args, Last::Transplant),
        Command::Pretrain(args) => commands::run(session, &args, Last::Pretrain),
        Command::Export(args) => commands::run(session, &args, Last::Export),
        Command::Eval(args) => commands::run(session, &args, Last::Eval),
        Command::Plan(args) => commands::plan(session, &args),
    }
}

//! Tests that read the workspace and hold it to what its documents say.
//!
//! Owns no code that runs in `bimed`. Each test collects every offender before it fails.

#[cfg(test)]
mod dependencies;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod workspace;

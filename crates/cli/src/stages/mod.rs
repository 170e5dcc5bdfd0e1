//! The stages in their order: keys, manifests and commits around the libraries' work.
//!
//! Owns what a stage depends on and when it is up to date. The libraries are given a directory and
//! know nothing of it.
//!
//! Invariant: two stages with the same key would write the same bytes.

mod workshop;

pub(crate) use workshop::{Made, Recipe, State, Workshop};

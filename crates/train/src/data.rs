//! From a token store to packed batches, on the host.
//!
//! Knows nothing of burn: everything here is arrays of numbers, and every random choice is a function
//! of (seed, epoch, sample, position), so that threads and restarts change nothing.

pub(crate) mod batch;
pub(crate) mod counter;
pub(crate) mod loader;
pub(crate) mod masking;
pub(crate) mod packing;
pub(crate) mod samples;
pub(crate) mod validation;

//! The fused operations and their gradients behind one trait, for every backend.

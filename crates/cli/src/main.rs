//! The `bimed` binary.

fn main() {}

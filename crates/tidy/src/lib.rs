//! Tests that read the workspace.

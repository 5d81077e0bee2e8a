//! What one file needs to run.

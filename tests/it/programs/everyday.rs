//! Everyday checks.

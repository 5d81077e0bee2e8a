//! A throw-away copy of the host for tests and for the demonstration.

//! The tally binary: every role, its HTTP server, the command line.
fn main() {}

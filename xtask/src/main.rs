//! The gate, the tidy checks and the vector runner.
fn main() {}

//! A validator: the only crate that names the consensus engine.

//! Tests of the ledger through its public face.

#[cfg(test)]
mod locks;
#[cfg(test)]
mod money;
#[cfg(test)]
mod world;

//! Tests of the ledger through its public face.

#[cfg(test)]
mod against_model;
#[cfg(test)]
mod blocks;
#[cfg(test)]
mod bytes;
#[cfg(test)]
mod chain;
#[cfg(test)]
mod checkpoints;
#[cfg(test)]
mod governance;
#[cfg(test)]
mod lanes;
#[cfg(test)]
mod locks;
#[cfg(test)]
mod money;
#[cfg(test)]
mod pool;
#[cfg(test)]
mod precedence;
#[cfg(test)]
mod random;
#[cfg(test)]
mod restore;
#[cfg(test)]
mod storage;
#[cfg(test)]
mod world;

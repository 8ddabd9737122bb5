//! The whole network in one thread under a seed: real nodes, simulated network, disks and clocks.
//!
//! A seed draws a [`scenario`]; [`run`] plays it: the nodes are those of the crate `node`, on the
//! engine's deterministic runtime ([`context`]) and its simulated network ([`wire`]), with their
//! state on simulated disks ([`disk`]). [`byzantine`] says how one of them lies, [`clients`] pay,
//! and [`tap`] and [`chain`] hold what happens against the rules. The same seed gives the same
//! events. What is simulated and what is not is in `docs/simulator.md`.

pub mod byzantine;
pub mod catch_up;
pub mod chain;
pub mod clients;
pub mod comparison;
pub mod context;
pub mod disk;
pub mod draw;
pub mod ending;
pub mod log;
pub mod node;
pub mod run;
pub mod scenario;
pub mod setup;
pub mod tap;
pub mod wire;
pub mod world;

//! Networks of real nodes in one process, on loopback, each with its own folder and thread.

mod cluster;
mod finality;
mod network;

//! Randomness that came in as an argument, in the shape that the libraries ask for.

use aws_lc_rs::digest::{Context, SHA256};
use core::convert::Infallible;
use hpke::rand_core::{TryCryptoRng, TryRng};
use zeroize::Zeroizing;

/// A stream of SHA-256 blocks over a seed and a counter: as unforeseeable as its seed.
pub(crate) struct Stream {
    seed: Zeroizing<[u8; 32]>,
    counter: u64,
}

impl Stream {
    /// The stream of `seed`, which must come from a random source or a hash of what it serves.
    pub(crate) fn new(seed: [u8; 32]) -> Stream {
        Stream { seed: Zeroizing::new(seed), counter: 0 }
    }

    fn block(&mut self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        context.update(b"tallystick/stream/1");
        context.update(&self.seed[..]);
        context.update(&self.counter.to_be_bytes());
        self.counter += 1;
        let mut block = [0; 32];
        block.copy_from_slice(context.finish().as_ref());
        block
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let block = self.block();
        Ok(u32::from_le_bytes([block[0], block[1], block[2], block[3]]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for part in out.chunks_mut(32) {
            part.copy_from_slice(&self.block()[..part.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Stream {}

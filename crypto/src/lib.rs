//! The provider seam: signatures, MACs, AEAD, key derivation, HPKE and key stores.

//! The vocabulary of Tallystick: amounts, currencies, ids, time, canonical CBOR, limits and reason codes.

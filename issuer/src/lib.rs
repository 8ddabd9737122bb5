//! What the issuer decides.

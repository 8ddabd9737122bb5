//! What the merchant decides.

//! What the holder's wallet decides.

//! One file per proof: its bytes, how it is made, how it is checked.

//! What the provisioner decides.

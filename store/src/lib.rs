//! Party state in SQL: versioned records, group commit, migrations, replay window, outbox.

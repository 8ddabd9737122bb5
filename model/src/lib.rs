//! A second, independent statement of the ledger's rules, against which the first is tested.

//! Rules about the crates that are given time, randomness and bytes as arguments.

use super::{File, holds_word};

/// Crates that do no I/O, and whose outcome is a function of their arguments.
const PURE: [&str; 8] =
    ["kernel", "crypto", "proofs", "wallet", "issuer", "provisioner", "merchant", "ledger"];
/// Clocks, floats, the order of hash maps, I/O, threads, and randomness drawn from the system.
const WORDS: [&str; 20] = [
    "HashMap",
    "HashSet",
    "RandomState",
    "SystemTime",
    "Instant",
    "f32",
    "f64",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "tokio",
    "getrandom",
    "OsRng",
    "SysRng",
    "thread_rng",
    "SystemRandom",
    "println",
    "eprintln",
];
/// What may be named all the same: aws-lc-rs draws the nonce of an ECDSA signature itself, so such
/// signatures stay out of ids and logs of events. A lookup hides the order of its map.
const EXEMPT: [(&str, &str); 2] =
    [("crypto/src/signing_key.rs", "SystemRandom"), ("ledger/src/lookup.rs", "HashMap")];

/// A pure crate names nothing of the machine.
pub(super) fn words(file: &File<'_>) -> Vec<String> {
    if !file.crate_of_source().is_some_and(|name| PURE.contains(&name)) {
        return Vec::new();
    }
    let words = WORDS.iter().filter(|word| !EXEMPT.contains(&(file.name, word)));
    let found = words.filter(|word| file.code().any(|line| holds_word(line, word)));
    found.map(|word| format!("a pure crate names {word}")).collect()
}

/// A domain type knows no JSON: signed bytes have one codec, and JSON lives in `api`.
pub(super) fn plain_domain(file: &File<'_>) -> Vec<String> {
    let is_domain = |name: &str| PURE.contains(&name) || name == "node" || name == "model";
    let serde = |line: &str| holds_word(line, "serde") || holds_word(line, "serde_json");
    if file.crate_of_source().is_some_and(is_domain) && file.code().any(serde) {
        return vec!["a domain type knows JSON".to_owned()];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::super::assert_rule;
    use super::*;

    #[test]
    fn every_rule_can_fail_and_pass() {
        let file = "kernel/src/a.rs";
        assert_rule(words, file, "use std::collections::HashMap;", "// HashMap");
        assert_rule(words, file, "let a: f64 = 1;", "let f64_bits = 1;");
        assert_rule(words, file, "let now = Instant::now();", "use std::time::Duration;");
        assert_rule(words, file, "std::fs::read(path)", "std::io::Read::read(&mut bytes)");
        assert_rule(words, "crypto/src/a.rs", "use rand::SystemRandom;", "use rand::Stream;");
        let exempt = File { name: "crypto/src/signing_key.rs", text: "&SystemRandom::new()" };
        assert_eq!(words(&exempt), Vec::<String>::new());
        assert_rule(plain_domain, file, "use serde::Serialize;", "let observed = 1;");
        assert_rule(plain_domain, "node/src/a.rs", "serde_json::to_vec(&a)", "a.encode()");
    }

    #[test]
    fn the_rules_are_for_pure_crates_and_not_for_their_tests() {
        let of = |name| words(&File { name, text: "use std::collections::HashMap;" }).len();
        assert_eq!(of("ledger/src/a.rs"), 1);
        assert_eq!(of("ledger/tests/it/a.rs"), 0);
        assert_eq!(of("tally/src/a.rs"), 0);
    }
}

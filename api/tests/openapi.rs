//! The committed OpenAPI documents are those that the operations make.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;
use tallystick_api::operation::Access;
use tallystick_api::operations::{self, ROLES};

/// `TALLYSTICK_WRITE=1 cargo nextest run -p tallystick-api --test openapi` writes them.
#[test]
fn the_committed_documents_are_those_of_the_operations() {
    for role in ROLES {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../openapi")
            .join(format!("{}.json", role.name));
        let made = role.document();
        if std::env::var_os("TALLYSTICK_WRITE").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == made, "openapi/{}.json is stale: TALLYSTICK_WRITE=1", role.name);
    }
}

#[test]
fn no_two_operations_of_a_role_share_an_id_or_a_place() {
    for role in ROLES {
        let ids: BTreeSet<&str> = role.operations.iter().map(|one| one.id).collect();
        let places: BTreeSet<(&str, &str)> =
            role.operations.iter().map(|one| (one.method.name(), one.path)).collect();
        assert_eq!(ids.len(), role.operations.len(), "{}", role.name);
        assert_eq!(places.len(), role.operations.len(), "{}", role.name);
    }
}

#[test]
fn every_parameter_of_a_path_is_described_and_every_answer_has_an_example() {
    for role in ROLES {
        for operation in role.operations {
            let in_path = operation.path.matches('{').count();
            let described = operation
                .parameters
                .iter()
                .filter(|one| operation.path.contains(&format!("{{{}}}", one.name)))
                .count();
            assert_eq!(in_path, described, "{}", operation.path);
            assert!(operation.answer.is_some() || operation.is_page, "{}", operation.path);
            let waits = operation.parameters.iter().any(|one| one.name == "wait");
            assert_eq!(operation.wait_max.is_some(), waits, "{}", operation.path);
        }
        let document: Value = serde_json::from_str(&role.document()).unwrap();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let text = role.document();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{} of {} is not described", name, role.name);
        }
    }
}

#[test]
fn a_write_is_keyed_or_says_why_it_needs_no_key() {
    let mut without: Vec<String> = Vec::new();
    // Setting a level twice is setting it once.
    let sets = operations::LOG_LEVEL.id;
    for role in ROLES {
        for operation in role.operations {
            if operation.method.name() == "POST"
                && !operation.keyed
                && !operation.is_page
                && operation.id != sets
            {
                without.push(format!("{} {}", role.name, operation.id));
            }
            // An answer with a secret in it must not be stored.
            assert!(!operation.keyed || operation.access != Access::Public, "{}", operation.path);
        }
    }
    let expected = [
        "node submit",
        // Each time it is the last checkpoint that is written.
        "node writeSnapshot",
        "issuer beginSession",
        "issuer fundBatch",
        "issuer authorizeDevice",
        "provisioner completeProvisioning",
        "merchant chargeBatch",
    ];
    assert_eq!(without, expected);
}

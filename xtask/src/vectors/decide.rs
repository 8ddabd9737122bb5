//! Deciding one file of vectors and comparing what was decided with what is expected.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Deserialize;
use serde_json::{Map, Value};
use tallystick_kernel::Reason;

use super::report::{Decided, Outcome, VectorReport};
use super::{base45, cose_cwt_codes, hpke_region_envelope, x509_code_chain};

/// What a decider answers: the outputs of a valid vector or the reason why it is invalid; none when
/// the operation, or the kind of key that it needs, is not supported.
pub(super) type Decision = Option<Result<Map<String, Value>, Reason>>;

/// A function of operation and input.
type Decider = fn(&str, &Value) -> Decision;

/// Whether there is a decider for a kind.
pub(super) fn is_supported(kind: &str) -> bool {
    decider(kind).is_some()
}

/// Decides every vector of a file in its order; an error when the file is not one of vectors.
pub(super) fn judge(kind: &str, text: &str) -> Result<Vec<VectorReport>, String> {
    let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let decider = decider(kind);
    Ok(file.vectors.into_iter().map(|vector| judge_vector(decider, vector)).collect())
}

fn decider(kind: &str) -> Option<Decider> {
    match kind {
        "base45" => Some(base45::decide),
        "cose_cwt_codes" => Some(cose_cwt_codes::decide),
        "x509_code_chain" => Some(x509_code_chain::decide),
        "hpke_region_envelope" => Some(hpke_region_envelope::decide),
        _ => None,
    }
}

#[derive(Deserialize)]
struct File {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    operation: String,
    input: Value,
    expected: Option<Map<String, Value>>,
}

fn judge_vector(decider: Option<Decider>, vector: Vector) -> VectorReport {
    let Vector { id, operation, input, expected } = vector;
    let made =
        decider.map(|decider| catch_unwind(AssertUnwindSafe(|| decider(&operation, &input))));
    let report =
        |outcome, decided, differs| VectorReport { id, operation, outcome, decided, differs };
    match made {
        // A panic is never an answer, whatever was expected.
        Some(Err(_)) => report(Some(Outcome::Wrong), None, vec!["panic".to_owned()]),
        None | Some(Ok(None)) => report(expected.map(|_| Outcome::Unsupported), None, Vec::new()),
        Some(Ok(Some(answer))) => {
            let differs = expected.as_ref().map(|expected| differences(expected, &answer));
            let outcome = differs
                .as_ref()
                .map(|differs| if differs.is_empty() { Outcome::Right } else { Outcome::Wrong });
            report(outcome, Some(decided(answer)), differs.unwrap_or_default())
        }
    }
}

fn decided(answer: Result<Map<String, Value>, Reason>) -> Decided {
    match answer {
        Ok(values) => Decided { verdict: "valid", reason: String::new(), values },
        Err(reason) => {
            Decided { verdict: "invalid", reason: reason.code().to_owned(), values: Map::new() }
        }
    }
}

/// The members of `expected` that `answer` does not meet.
fn differences(
    expected: &Map<String, Value>,
    answer: &Result<Map<String, Value>, Reason>,
) -> Vec<String> {
    let verdict = if answer.is_ok() { "valid" } else { "invalid" };
    if expected.get("verdict").and_then(Value::as_str) != Some(verdict) {
        return vec!["verdict".to_owned()];
    }
    let Ok(values) = answer else { return Vec::new() };
    let output = |name: &str| name != "verdict" && !DESCRIPTIVE.contains(&name);
    let differs = expected
        .iter()
        .filter(|(name, value)| output(name) && values.get(name.as_str()) != Some(value));
    differs.map(|(name, _)| name.clone()).collect()
}

/// Members of `expected` that describe and are not outputs.
const DESCRIPTIVE: [&str; 14] = [
    "reason",
    "note",
    "flags",
    "description",
    "recorded_body",
    "required_members",
    "cache_control",
    "content_type_prefix",
    "published_expected_results",
    "mac_algorithm",
    "padding_method",
    "sha1_second_decimalization_pass",
    "arqc_tags_not_in_code_are_zero",
    "issuer_master_key_ac_hex",
];

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"vectors": [
        {"id": "a", "operation": "base45_decode", "input": {"text": "BB8"}},
        {"id": "b", "operation": "other", "input": {}, "expected": {"verdict": "valid"}},
        {"id": "c", "operation": "base45_decode", "input": {"text": "BB8"},
         "expected": {"verdict": "valid", "bytes_hex": "4142", "note": "n", "more": 1}},
        {"id": "d", "operation": "base45_decode", "input": {"text": "b"},
         "expected": {"verdict": "invalid", "bytes_hex": "00"}}
    ]}"#;

    #[test]
    fn outcomes_follow_from_verdict_and_outputs() {
        let judged = judge("base45", FILE).unwrap();
        let outcomes: Vec<_> = judged.iter().map(|vector| vector.outcome).collect();
        let expect = [None, Some(Outcome::Unsupported), Some(Outcome::Wrong), Some(Outcome::Right)];
        assert_eq!(outcomes, expect);
        assert!(judged[0].decided.is_some());
        assert_eq!(judged[2].differs, ["more"]);
        let other = judge("unknown_kind", FILE).unwrap();
        assert!(other.iter().all(|vector| vector.decided.is_none()));
        assert!(judge("base45", "{}").is_err());
    }

    #[test]
    fn a_panic_is_wrong_even_where_nothing_is_expected() {
        let vector =
            Vector { id: "a".into(), operation: "b".into(), input: Value::Null, expected: None };
        let judged = judge_vector(Some(|_, _| panic!("as it should in this test")), vector);
        assert_eq!(judged.outcome, Some(Outcome::Wrong));
        assert!(judged.decided.is_none());
    }
}

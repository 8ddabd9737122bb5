//! What a node's state looks like in JSON.

use tallystick_api::node as json;
use tallystick_api::{Bytes, Problem};
use tallystick_kernel::{
    AccountId, Codec as _, CurrencyCode, Reason, ReserveId, TransactionId, hex,
};
use tallystick_ledger::{Account, Currency, DecidedSet, Reserve};
use tallystick_node::block::Block;
use tallystick_node::statement::CheckpointStatus;
use tallystick_node::{Balance, Decisions, NetworkStatus, SubmissionOutcome, TransactionStatus};
use tallystick_proofs::action::Lock;
use tallystick_proofs::finality::FinalityCertificate;

/// `GET /v1/network`.
pub fn network(status: &NetworkStatus, name: &str) -> json::NetworkStatus {
    json::NetworkStatus {
        network: status.network,
        name: name.to_owned(),
        height: status.height,
        reported_height: status.reported_height,
        time_ms: status.time.0,
        checkpoint_root: hex::encode(&status.checkpoint_root),
        epoch: status.epoch,
        rules_version: status.rules_version,
        validators: status.validators as u64,
        quorum: status.quorum as u64,
        peers_connected: status.connected as u64,
        pool_size: status.pool as u64,
    }
}

/// `GET /v1/validators`: what is in force, and what comes.
pub fn validators(decisions: &Decisions) -> json::Validators {
    let Decisions { height, epoch, parameters, governance, known_rules } = decisions;
    let in_force = governance.sets().filter(|(from, _)| from <= epoch).count();
    let sets = governance.sets().skip(in_force.saturating_sub(1));
    let set = |(from_epoch, decided): (u64, &DecidedSet)| json::ValidatorSet {
        from_epoch,
        from_height: parameters.first_of(from_epoch),
        keys: decided.validators.keys().iter().map(ToString::to_string).collect(),
        quorum: decided.validators.quorum() as u64,
        decided_by: decided.decided_by,
    };
    let old_rules = governance.rules().filter(|(from, _)| from <= height).count();
    let rules = governance.rules().skip(old_rules.saturating_sub(1));
    let rules = rules.map(|(from_height, version)| json::RulesVersion {
        version,
        from_height,
        is_known: version <= *known_rules,
    });
    json::Validators {
        epoch: *epoch,
        epoch_blocks: parameters.epoch_blocks(),
        sets: sets.map(set).collect(),
        rules: rules.collect(),
    }
}

/// Where a transaction stands.
pub fn transaction(id: TransactionId, status: &TransactionStatus) -> json::TransactionStatus {
    let mut shown = json::TransactionStatus {
        id,
        state: json::TransactionState::Unknown,
        acknowledged: false,
        result: None,
        reported_in: None,
    };
    match status {
        TransactionStatus::Unknown => {}
        TransactionStatus::Expired => shown.state = json::TransactionState::Expired,
        TransactionStatus::Pending { acknowledged } => {
            shown.state = json::TransactionState::Pending;
            shown.acknowledged = *acknowledged;
        }
        TransactionStatus::Final { result, reported_in } => {
            shown.state = json::TransactionState::Final;
            shown.reported_in = *reported_in;
            shown.result = Some(json::FinalResult {
                success: result.is_success(),
                code: result.failure.map(|reason| reason.code().to_owned()),
                height: result.height,
                index: result.index,
            });
        }
    }
    shown
}

/// What became of a transaction of an executed block.
pub fn outcome(id: TransactionId, result: Option<Option<Reason>>) -> json::Outcome {
    // Its block is executed, so it has a result: one that is not there was lost.
    let failure = result.unwrap_or(Some(Reason::StorageCorrupt));
    let code = failure.map(|reason| reason.code().to_owned());
    json::Outcome { id, success: failure.is_none(), code }
}

/// How a transaction was received.
pub fn submission(id: Option<TransactionId>, outcome: &SubmissionOutcome) -> json::Submission {
    let mut shown = json::Submission {
        id,
        outcome: json::Reception::Acknowledged,
        status: None,
        problem: None,
    };
    match outcome {
        SubmissionOutcome::Acknowledged => {}
        SubmissionOutcome::StoredHere => shown.outcome = json::Reception::StoredHere,
        SubmissionOutcome::First(status) => {
            shown.outcome = json::Reception::FirstAnswer;
            shown.status = id.map(|id| transaction(id, status));
        }
        SubmissionOutcome::Refused(reason) => {
            shown.outcome = json::Reception::Refused;
            shown.problem = Some(Problem::new(*reason));
        }
    }
    shown
}

/// An account.
pub fn account(id: AccountId, account: &Account, balances: &[Balance]) -> json::Account {
    let balance = |balance: &Balance| json::Balance {
        currency: balance.currency,
        free: balance.free,
        reserved: balance.reserved,
    };
    json::Account {
        id,
        threshold: u64::from(account.owners.threshold),
        keys: account.owners.keys.iter().map(ToString::to_string).collect(),
        balances: balances.iter().map(balance).collect(),
    }
}

/// A reserve.
pub fn reserve(id: ReserveId, reserve: &Reserve) -> json::Reserve {
    let lock = |lock: &Lock| json::Lock {
        mandate: lock.mandate.to_string(),
        payment_max: lock.payment_max,
        payees: lock.payees.clone(),
        unlock_delay_ms: lock.unlock_delay.0,
    };
    json::Reserve {
        id,
        account: reserve.account,
        currency: reserve.currency,
        amount: reserve.amount,
        lock: reserve.lock.as_ref().map(lock),
        expiry_ms: reserve.expiry.map(|time| time.0),
        created_height: reserve.created_height,
        unlock_at_ms: reserve.unlock_at.map(|time| time.0),
    }
}

/// A currency.
pub fn currency(code: CurrencyCode, currency: &Currency) -> json::Currency {
    json::Currency {
        code,
        exponent: currency.exponent,
        authority: currency.authority,
        supply: currency.supply,
    }
}

/// The last checkpoint.
pub fn checkpoint(status: &CheckpointStatus) -> json::Checkpoint {
    json::Checkpoint {
        height: status.height,
        root: hex::encode(&status.root),
        block: status.block,
        time_ms: status.time.0,
        reported_in: status.reported_in,
        certified_in: status.certified_in,
    }
}

/// A final block.
pub fn block(block: &Block, certificate: Option<&FinalityCertificate>) -> json::Block {
    let entry = |entry: &tallystick_proofs::header::Entry| json::BlockEntry {
        id: entry.id,
        witness_hash: Bytes(entry.witness_hash.to_vec()),
    };
    json::Block {
        height: block.header.height,
        header: Bytes(block.header.to_bytes()),
        entries: block.entries.iter().map(entry).collect(),
        certificate: certificate.map(|certificate| Bytes(certificate.to_bytes())),
    }
}

//! `tally operators`: what a network's operators decide, signed by a threshold of them.
//!
//! The decision travels between them as a file: a transaction whose witness grows by one signature
//! with each of them. It lives ten minutes, as every transaction does.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use tallystick_crypto::key_store::{KeyAlgorithm, KeyPurpose};
use tallystick_crypto::{KeyStore as _, PublicKey, SigningKey};
use tallystick_kernel::limits::{TRANSACTION_BYTES_MAX, VALIDITY_MAX};
use tallystick_kernel::{Codec as _, DurationMs, Reason, Salt};
use tallystick_proofs::action::Action;
use tallystick_proofs::genesis::{Genesis, Parameters, ValidatorSet};
use tallystick_proofs::header::{RULES_VERSION_FIRST, RULES_VERSION_MAX};
use tallystick_proofs::owners::Owners;
use tallystick_proofs::transaction::{Body, Transaction, Witness};

use crate::clock_text;
use crate::commands::block_on;
use crate::commands::network_file::NetworkFile;
use crate::commands::receipt::read_genesis;
use crate::data_folder::{create_private, read_bounded, write_atomically};
use crate::failure::Failure;
use crate::key_file::KeyFile;
use crate::machine_key::MachineKey;
use crate::output::Output;
use crate::secret_file::SecretFile;
use crate::source;
use crate::up::founding::VALIDATOR_SEED;

/// The operator's key in the key store of a node's folder.
pub const OPERATOR_KEY: &str = "operator";
/// How long a decision is waited for.
const FINAL_WITHIN: DurationMs = DurationMs::seconds(30);

/// `tally operators`.
#[derive(Debug, Args)]
pub struct OperatorsArgs {
    #[command(subcommand)]
    command: OperatorsCommand,
}

#[derive(Debug, Subcommand)]
enum OperatorsCommand {
    /// Make the keys of a validator and of its operator, and say their public halves.
    ///
    /// What is there already stays.
    #[command(
        after_help = "Example:\n  tally operators keys --data new-node --machine-key machine.key"
    )]
    Keys {
        /// The folder of the node, made where it is missing.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The file with the key of this machine, made where it is missing.
        #[arg(long, value_name = "FILE", default_value = ".tally/machine.key")]
        machine_key: PathBuf,
    },
    /// Write a decision on who the validators are, from the second epoch after this one on.
    #[command(
        after_help = "Example:\n  tally operators validators tlyk1... tlyk1... tlyk1... tlyk1... --out change.tally"
    )]
    Validators {
        /// The keys of all validators, those that stay too.
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
        #[command(flatten)]
        draft: DraftArgs,
    },
    /// Write a decision on the height from which the next version of the rules is in force.
    #[command(
        after_help = "Example:\n  tally operators rules --rules 2 --height 20000 --out rules.tally"
    )]
    Rules {
        /// The version after the one decided last.
        #[arg(long, value_name = "VERSION")]
        rules: u64,
        /// The first block that follows it: two epochs ahead or more.
        #[arg(long, value_name = "HEIGHT")]
        height: u64,
        #[command(flatten)]
        draft: DraftArgs,
    },
    /// Say what a decision is, and add this operator's signature to it.
    #[command(after_help = "Example:\n  tally operators sign change.tally --data .tally/node-0")]
    Sign {
        /// The decision.
        file: PathBuf,
        /// The folder with the operator's key.
        #[arg(long, value_name = "DIR", default_value = ".tally/node-0")]
        data: PathBuf,
        /// The network's genesis file, which names the operators.
        #[arg(long, value_name = "FILE", default_value = ".tally/genesis.tally")]
        genesis: PathBuf,
        /// The file with the key of this machine.
        #[arg(long, value_name = "FILE", default_value = ".tally/machine.key")]
        machine_key: PathBuf,
    },
    /// Submit a decision that enough operators have signed, and wait until it is final.
    #[command(after_help = "Example:\n  tally operators submit change.tally")]
    Submit {
        /// The decision.
        file: PathBuf,
        /// The network's description.
        #[arg(long, value_name = "FILE", default_value = ".tally/network.toml")]
        network: PathBuf,
    },
}

#[derive(Debug, Args)]
struct DraftArgs {
    /// The network's genesis file.
    #[arg(long, value_name = "FILE", default_value = ".tally/genesis.tally")]
    genesis: PathBuf,
    /// Where the decision is written.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// A decision, for the output.
#[derive(Debug, Serialize)]
struct DecisionShown {
    id: String,
    action: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    validators: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_height: Option<u64>,
    /// Known once it is final, as what follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    from_epoch: Option<u64>,
    /// When it is in force if the network stays idle; sooner when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_force_by_ms: Option<u64>,
    signers: Vec<String>,
    valid_until_ms: u64,
}

/// Runs the command.
pub fn run(args: &OperatorsArgs, output: Output) -> Result<(), Failure> {
    match &args.command {
        OperatorsCommand::Keys { data, machine_key } => keys(data, machine_key, output),
        OperatorsCommand::Validators { keys, draft } => {
            let keys = keys.iter().map(|text| text.parse()).collect::<Result<Vec<_>, Reason>>()?;
            let validators = ValidatorSet::new(keys)?;
            check_validators(&validators, &read_genesis(&draft.genesis)?)?;
            write(draft, Action::ValidatorsChange { validators }, output)
        }
        OperatorsCommand::Rules { rules, height, draft } => {
            check_rules(*rules)?;
            write(draft, Action::RulesActivate { version: *rules, height: *height }, output)
        }
        OperatorsCommand::Sign { file, data, genesis, machine_key } => {
            sign(file, data, &read_genesis(genesis)?, machine_key, output)
        }
        OperatorsCommand::Submit { file, network } => submit(file, network, output),
    }
}

#[derive(Debug, Serialize)]
struct KeysShown {
    validator: String,
    operator: String,
}

fn keys(data: &Path, machine_key: &Path, output: Output) -> Result<(), Failure> {
    create_private(data)?;
    let machine_key = MachineKey::read_or_make(machine_key)?;
    let seed = SecretFile::open(data, &machine_key)?.require_or_make(VALIDATOR_SEED)?;
    let shown = KeysShown {
        validator: SigningKey::ed25519_from_seed(&seed).public_key().to_string(),
        operator: ensure_key(data, &machine_key)?.to_string(),
    };
    output.show(&shown, |shown| {
        format!("{:<12}{}\n{:<12}{}\n", "validator", shown.validator, "operator", shown.operator)
    });
    Ok(())
}

fn write(draft: &DraftArgs, action: Action, output: Output) -> Result<(), Failure> {
    let genesis = read_genesis(&draft.genesis)?;
    let account = genesis.operators().ok_or_else(|| {
        Failure::new(Reason::NotOperators)
            .cause("the genesis file names no operators: nobody can change this network")
    })?;
    action.check()?;
    let body = Body {
        network: genesis.network(),
        account,
        salt: Salt(source::random()?),
        // A little less than is allowed, for clocks that are behind.
        valid_until: source::now().after(DurationMs(VALIDITY_MAX.0 - CLOCKS_DIFFER.0)),
        action,
    };
    let transaction = Transaction { body, witness: Witness(Vec::new()) };
    keep(&draft.out, &transaction, output)
}

fn sign(
    file: &Path,
    data: &Path,
    genesis: &Genesis,
    machine_key: &Path,
    output: Output,
) -> Result<(), Failure> {
    let mut transaction = read(file)?;
    let machine_key = MachineKey::read(machine_key)?;
    let keys = KeyFile::open(data, &machine_key)?;
    let id = transaction.id();
    let public = keys.store().public_key(OPERATOR_KEY)?;
    check_may_sign(&transaction, genesis, &public)?;
    let signature = keys.store().sign(OPERATOR_KEY, KeyPurpose::Account, &id.0)?;
    transaction.witness.0.retain(|(key, _)| *key != public);
    transaction.witness.0.push((public, signature));
    transaction.witness.0.sort_by_key(|(key, _)| *key);
    transaction.witness.verify(&id)?;
    keep(file, &transaction, output)
}

fn submit(file: &Path, network: &Path, output: Output) -> Result<(), Failure> {
    let transaction = read(file)?;
    let network = NetworkFile::read(network)?;
    check_signers(&transaction, &network.genesis)?;
    let id = transaction.id();
    let mut shown = shown(&transaction);
    block_on(async {
        let nodes = network.nodes()?;
        let answer = nodes.submit(vec![transaction.to_bytes()]).await?;
        let refused = answer.submissions.first().and_then(|one| one.problem.as_ref());
        if let Some(problem) = refused {
            let reason = Reason::from_code(&problem.code).unwrap_or(Reason::AnswerMalformed);
            return Err(Failure::new(reason));
        }
        let status = nodes.wait_final(&id, FINAL_WITHIN).await?;
        match status.result {
            Some(result) if result.success => {
                tell_from_when(&mut shown, &network.genesis.parameters, result.height);
                Ok(())
            }
            Some(result) => {
                let reason = result.code.as_deref().and_then(Reason::from_code);
                Err(Failure::new(reason.unwrap_or(Reason::AnswerMalformed)))
            }
            None => Err(Failure::new(Reason::Timeout)),
        }
    })?;
    output.show(&shown, to_text);
    Ok(())
}

/// From when a decision is in force that was executed at `height`: its rules from the height that it
/// names, its validators from the second epoch after its own.
fn tell_from_when(shown: &mut DecisionShown, parameters: &Parameters, height: u64) {
    let validators_from = || parameters.first_of(parameters.effective_epoch(height));
    let from = shown.from_height.unwrap_or_else(validators_from);
    let idle = from.saturating_sub(height).saturating_mul(parameters.idle_interval.0);
    shown.from_height = Some(from);
    shown.from_epoch = Some(parameters.epoch_of(from));
    shown.in_force_by_ms = Some(source::now().after(DurationMs(idle)).0);
}

/// The operators, and how many of them must sign.
fn operators_of(genesis: &Genesis) -> Result<&Owners, Failure> {
    let mut accounts = genesis.accounts();
    let operators = accounts.find(|(id, _)| Some(*id) == genesis.operators());
    Ok(operators.map(|(_, owners)| owners).ok_or(Reason::NotOperators)?)
}

/// Whether the signature of this key brings the decision further.
fn check_may_sign(
    transaction: &Transaction,
    genesis: &Genesis,
    key: &PublicKey,
) -> Result<(), Failure> {
    if transaction.body.network != genesis.network() {
        let networks = (transaction.body.network, genesis.network());
        return Err(Failure::new(Reason::WrongNetwork).cause(format!(
            "the decision is of network {}, and the genesis file of {}",
            networks.0, networks.1
        )));
    }
    let operators = operators_of(genesis)?;
    let is_operator = |key: &PublicKey| operators.keys.contains(key);
    if !is_operator(key) {
        let keys: Vec<String> = operators.keys.iter().map(ToString::to_string).collect();
        return Err(Failure::new(Reason::NotOwner)
            .cause(format!("{key} is no operator; the operators are {}", keys.join(", ")))
            .next_step(
                "sign with the folder of an operator: tally operators sign FILE --data DIR",
            ));
    }
    if let Some(outsider) = transaction.witness.signers().find(|signer| !is_operator(signer)) {
        return Err(Failure::new(Reason::NotOwner)
            .cause(format!("{outsider} has signed it, who is no operator: nobody will take it"))
            .next_step("draft it anew, and have it signed by operators only"));
    }
    let others = transaction.witness.signers().filter(|signer| *signer != key).count();
    if others >= usize::from(operators.threshold) {
        return Err(Failure::new(Reason::SignatureExtra)
            .cause(format!("{others} operators have signed, and exactly so many must"))
            .next_step("tally operators submit FILE"));
    }
    Ok(())
}

/// Whether this program can follow the rules that are to be in force.
fn check_rules(version: u64) -> Result<(), Failure> {
    if (RULES_VERSION_FIRST..=RULES_VERSION_MAX).contains(&version) {
        return Ok(());
    }
    Err(Failure::new(Reason::RulesUnknown).cause(format!(
        "this program knows the versions {RULES_VERSION_FIRST} to {RULES_VERSION_MAX}; nodes that \
         run it would stop before the height that is to follow version {version}"
    )))
}

/// Whether no operator's key is taken for that of a validator: nobody would vote with it.
fn check_validators(validators: &ValidatorSet, genesis: &Genesis) -> Result<(), Failure> {
    let Ok(operators) = operators_of(genesis) else { return Ok(()) };
    let is_mistaken =
        |key: &&PublicKey| operators.keys.contains(key) && !genesis.validators.keys().contains(key);
    let Some(key) = validators.keys().iter().find(is_mistaken) else { return Ok(()) };
    Err(Failure::new(Reason::FieldInvalid)
        .cause(format!("{key} is the key of an operator, not of a validator"))
        .next_step("tally operators keys --data DIR says both"))
}

/// Whether exactly a threshold of the operators signed, before anyone is asked.
fn check_signers(transaction: &Transaction, genesis: &Genesis) -> Result<(), Failure> {
    transaction.verify(&genesis.network())?;
    let owners = operators_of(genesis)?;
    owners.allow(transaction.witness.signers()).map_err(|reason| {
        let (there, needed) = (transaction.witness.0.len(), owners.threshold);
        Failure::new(reason)
            .cause(format!("{there} have signed, and exactly {needed} of the operators must"))
            .next_step("sign with tally operators sign FILE --data DIR")
    })
}

fn read(file: &Path) -> Result<Transaction, Failure> {
    let bytes = read_bounded(file, TRANSACTION_BYTES_MAX)?;
    Transaction::from_bytes(&bytes, TRANSACTION_BYTES_MAX)
        .map_err(|reason| Failure::new(reason).cause(format!("decision {}", file.display())))
}

fn keep(file: &Path, transaction: &Transaction, output: Output) -> Result<(), Failure> {
    write_atomically(file, &transaction.to_bytes(), 0o644)?;
    output.show(&shown(transaction), to_text);
    Ok(())
}

fn shown(transaction: &Transaction) -> DecisionShown {
    let body = &transaction.body;
    let (validators, rules, from_height) = match &body.action {
        Action::ValidatorsChange { validators } => {
            (validators.keys().iter().map(ToString::to_string).collect(), None, None)
        }
        Action::RulesActivate { version, height } => (Vec::new(), Some(*version), Some(*height)),
        _ => (Vec::new(), None, None),
    };
    DecisionShown {
        id: transaction.id().to_string(),
        action: body.action.name(),
        validators,
        rules,
        from_height,
        from_epoch: None,
        in_force_by_ms: None,
        signers: transaction.witness.signers().map(ToString::to_string).collect(),
        valid_until_ms: body.valid_until.0,
    }
}

fn to_text(decision: &DecisionShown) -> String {
    let mut text = format!("decision    {}\naction      {}\n", decision.id, decision.action);
    let mut rows = |name: &str, values: &[String]| {
        for value in values {
            text.push_str(&format!("{name:<12}{value}\n"));
        }
    };
    rows("validator", &decision.validators);
    rows("rules", &decision.rules.iter().map(ToString::to_string).collect::<Vec<_>>());
    rows("from height", &decision.from_height.iter().map(ToString::to_string).collect::<Vec<_>>());
    rows("from epoch", &decision.from_epoch.iter().map(ToString::to_string).collect::<Vec<_>>());
    let by = |time: u64| format!("{}, or sooner when payments are made", clock_text::utc(time));
    rows("in force by", &decision.in_force_by_ms.map(by).into_iter().collect::<Vec<_>>());
    rows("signed by", &decision.signers);
    rows("valid until", &[clock_text::utc(decision.valid_until_ms)]);
    text
}

/// How much the clocks of operators and nodes may differ.
const CLOCKS_DIFFER: DurationMs = DurationMs::seconds(30);

/// Makes the operator's key in a folder where there is none, and gives its public half.
pub fn ensure_key(folder: &Path, machine_key: &MachineKey) -> Result<PublicKey, Failure> {
    let mut keys = KeyFile::open(folder, machine_key)?;
    keys.ensure(OPERATOR_KEY, KeyPurpose::Account, KeyAlgorithm::Ed25519)?;
    Ok(keys.store().public_key(OPERATOR_KEY)?)
}

//! The blocks that became final, held against each other and against the independent model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use tallystick_kernel::{AccountId, Codec, Reason, ReserveId, TransactionId};
use tallystick_model::Model;
use tallystick_node::block::Block;
use tallystick_node::{NodeHandle, TransactionStatus};
use tallystick_proofs::action::Action;
use tallystick_proofs::genesis::{Genesis, ValidatorSet};
use tallystick_proofs::header::Entry;
use tallystick_proofs::receipt::Receipt;
use tallystick_proofs::result::TransactionResult;
use tallystick_proofs::transaction::Transaction;

use crate::world::{World, held};

/// The final blocks so far, and what they did.
pub struct Chain {
    blocks: Vec<Block>,
    bodies: BTreeMap<TransactionId, Arc<Transaction>>,
    model: Model,
    /// What became of each transaction.
    pub results: BTreeMap<TransactionId, TransactionResult>,
    spent: BTreeMap<ReserveId, TransactionId>,
    /// When the last block was first seen executed.
    pub extended_at: Option<SystemTime>,
}

impl Chain {
    /// None yet.
    pub fn new(genesis: &Genesis) -> Chain {
        Chain {
            blocks: Vec::new(),
            bodies: BTreeMap::new(),
            model: Model::new(genesis),
            results: BTreeMap::new(),
            spent: BTreeMap::new(),
            extended_at: None,
        }
    }

    /// How many blocks are final somewhere.
    pub fn height(&self) -> u64 {
        self.blocks.len() as u64
    }

    /// The validators of an epoch, as far as decided.
    pub fn validators<'g>(&'g self, genesis: &'g Genesis, epoch: u64) -> &'g ValidatorSet {
        let decided = (0..=epoch).rev().find_map(|from| self.model.validators_from(from));
        decided.unwrap_or(&genesis.validators)
    }

    fn block(&self, height: u64) -> Option<&Block> {
        self.blocks.get(usize::try_from(height.checked_sub(1)?).ok()?)
    }

    /// Takes up the next final block; gives what is wrong with it.
    fn extend(&mut self, block: Block, bodies: Vec<Arc<Transaction>>) -> Vec<String> {
        let (header, mut wrong) = (&block.header, Vec::new());
        let above = header.executed_height + 1..header.height;
        let ancestors: Vec<&Transaction> = above
            .filter_map(|height| self.block(height))
            .flat_map(|block| &block.entries)
            .filter_map(|entry| self.bodies.get(&entry.id).map(AsRef::as_ref))
            .collect();
        let listed: Vec<&Transaction> = bodies.iter().map(AsRef::as_ref).collect();
        let (version, executed) = (header.version, header.executed_height);
        let judged = self.model.judge_block(version, executed, header.time.0, &ancestors, &listed);
        if let Err(reason) = judged {
            wrong.push(format!("the model refuses block {}: {}", header.height, reason.code()));
        }
        let pairs: Vec<(Entry, &Transaction)> =
            block.entries.iter().copied().zip(bodies.iter().map(AsRef::as_ref)).collect();
        for result in self.model.apply_block(header, &pairs) {
            if self.results.insert(result.id, result).is_some() {
                wrong.push(format!("{} is executed twice", result.id));
            }
        }
        for (entry, body) in block.entries.iter().zip(bodies) {
            let is_success = self.results.get(&entry.id).is_some_and(TransactionResult::is_success);
            for reserve in consumed(&body.body.action).iter().filter(|_| is_success) {
                if let Some(first) = self.spent.insert(*reserve, entry.id) {
                    wrong.push(format!("{reserve} is spent by {first} and by {}", entry.id));
                }
            }
            self.bodies.insert(entry.id, body);
        }
        self.blocks.push(block);
        wrong
    }
}

fn consumed(action: &Action) -> &[ReserveId] {
    match action {
        Action::ReserveClose { reserves } | Action::Remit { reserves, .. } => reserves,
        _ => &[],
    }
}

/// Looks at what every honest node has executed since the last look.
pub fn inspect(world: &World) {
    for (seat, handle) in world.honest() {
        let height = handle.network_status().height;
        let mut seats = held(&world.seats);
        let Some(found) = seats.get_mut(seat) else { continue };
        let (before, disk) = (found.seen_height, Arc::clone(&found.disk));
        found.seen_height = height.max(before);
        drop(seats);
        if height < before {
            world.fault(seat, &format!("had executed {before} and now only {height}"));
        }
        if handle.overlaps() > 0 {
            world.fault(seat, "held two locks at once");
        }
        disk.spare(true);
        for next in before + 1..=height {
            look_at(world, seat, &handle, next);
        }
        disk.spare(false);
    }
}

fn look_at(world: &World, seat: usize, handle: &NodeHandle, height: u64) {
    let (block, certificate) = match handle.block(height) {
        Ok(Some(found)) => found,
        other => return world.fault(seat, &format!("has no block {height}: {}", kind(&other))),
    };
    let mut chain = held(&world.chain);
    if let Some(known) = chain.block(height) {
        if *known != block {
            return world.fault(seat, &format!("has another block at height {height}"));
        }
    } else {
        let header = &block.header;
        chain.extended_at = Some(world.time());
        let what = format!(
            "executes {height}: {} entries by n{}, executed {}",
            header.count, header.proposer, header.executed_height
        );
        world.note(seat, &what);
        let genesis = &world.genesis;
        if let Some(certificate) = certificate {
            let network = genesis.network();
            let validators = chain.validators(genesis, header.epoch);
            let verified = certificate.verify(&network, validators, &header.id());
            if verified.is_err() || certificate.signers.len() < quorum(world.scenario.nodes) {
                world.fault(seat, &format!("has a bad certificate for block {height}"));
            }
        }
        let bodies: Option<Vec<_>> =
            block.entries.iter().map(|entry| handle.transaction(entry).ok().flatten()).collect();
        let Some(bodies) = bodies else {
            return world.fault(seat, &format!("executed {height} and lacks bodies of it"));
        };
        for wrong in chain.extend(block.clone(), bodies) {
            world.fault(seat, &wrong);
        }
    }
    for entry in &block.entries {
        let known = chain.results.get(&entry.id).copied();
        match handle.status(&entry.id) {
            TransactionStatus::Final { result, .. } if Some(result) == known => {}
            other => {
                world.fault(seat, &format!("says {other:?} of {}, not {known:?}", entry.id));
            }
        }
    }
}

fn kind<T>(found: &Result<Option<T>, Reason>) -> &'static str {
    match found {
        Ok(Some(_)) => "there",
        Ok(None) => "nothing there",
        Err(reason) => reason.code(),
    }
}

/// The validators that were decided last.
pub fn last_validators(world: &World) -> ValidatorSet {
    let chain = held(&world.chain);
    let epoch = world.genesis.parameters.effective_epoch(chain.height());
    chain.validators(&world.genesis, epoch).clone()
}

/// `n - f`, reckoned here anew.
pub fn quorum(nodes: usize) -> usize {
    nodes - (nodes.saturating_sub(1)) / 3
}

/// Whether every honest node can prove every result.
pub fn is_reported(world: &World) -> bool {
    let chain = held(&world.chain);
    let is_proven = |handle: &NodeHandle, id| matches!(handle.receipt(id), Ok(Some(_)));
    let last: Vec<&TransactionResult> =
        chain.results.values().filter(|result| result.height + 8 > chain.height()).collect();
    world.honest().iter().all(|(_, handle)| last.iter().all(|one| is_proven(handle, &one.id)))
}

/// When all has come to rest: every honest node's money is the model's, and every receipt verifies.
pub fn compare(world: &World, accounts: &[AccountId]) {
    let chain = held(&world.chain);
    let expected = chain.model.balances();
    let reserves = chain.model.reserves();
    for (seat, handle) in world.honest() {
        if let Err(reason) = handle.recount() {
            world.fault(seat, reason.code());
        }
        for account in accounts {
            let Some((_, balances)) = handle.account(account) else {
                world.fault(seat, &format!("does not know {account}"));
                continue;
            };
            let free = balances.first().map_or(0, |balance| balance.free.minor());
            let reserved = balances.first().map_or(0, |balance| balance.reserved.minor());
            let in_model = expected.iter().find(|((owner, _), _)| owner == account);
            let kept = reserves.values().filter(|reserve| reserve.account == *account);
            let kept: u64 = kept.map(|reserve| reserve.minor).sum();
            if free != in_model.map_or(0, |(_, amount)| *amount) || reserved != kept {
                world.fault(seat, &format!("has other balances of {account} than the model"));
            }
        }
    }
    check_receipts(world, &chain);
}

fn check_receipts(world: &World, chain: &Chain) {
    let honest = world.honest();
    for (at, (id, result)) in chain.results.iter().enumerate() {
        let Some((seat, handle)) = honest.get(at % honest.len().max(1)) else { return };
        let read = match handle.receipt(id) {
            Ok(Some(receipt)) => Receipt::read(&receipt.to_bytes()),
            Ok(None) => Err(Reason::NotReady),
            Err(reason) => Err(reason),
        };
        let verified = read.and_then(|receipt| receipt.verify(&world.genesis));
        match verified {
            Ok(verified) if verified.result == *result => {}
            Ok(_) => world.fault(*seat, &format!("has a receipt of another result of {id}")),
            Err(reason) => {
                world.fault(*seat, &format!("has no good receipt of {id}: {}", reason.code()));
            }
        }
    }
}

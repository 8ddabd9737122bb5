//! What a chain does: nodes propose from their pools on parents that are not executed, everyone
//! judges, execution follows behind.

use std::sync::Arc;

use proptest::prelude::*;
use tallystick_kernel::{DurationMs, Reason};
use tallystick_ledger::{
    Ancestor, BlockContext, Found, Pool, PoolLimits, Rules, State, Verdict, build, check, entry_of,
    touches,
};
use tallystick_model::Model;
use tallystick_proofs::header::{Entry, Header, entries_root};
use tallystick_proofs::transaction::Transaction;

use crate::against_model::{execute_on_both, set_up, worlds};
use crate::random::{Cast, Plan};
use crate::world::{World, admit, found_here};

/// States that are kept to judge with.
const STATES: usize = 4;

/// What a block lists.
pub fn listed(transactions: &[Transaction]) -> Vec<(Entry, &Transaction)> {
    transactions.iter().map(|transaction| (entry_of(transaction), transaction)).collect()
}

/// A chain, its model, and two nodes' pools.
pub struct Chain {
    rules: Rules,
    world: World,
    model: Model,
    cast: Cast,
    pools: [Pool; 2],
    /// Blocks not yet executed, oldest first.
    ahead: Vec<(Header, Vec<Transaction>)>,
    /// States at the last executed heights, newest last.
    states: Vec<State>,
    /// Executed blocks.
    executed: Vec<(u64, Vec<Transaction>)>,
}

impl Chain {
    pub fn new(rules: Rules) -> Result<Chain, TestCaseError> {
        let (mut world, mut model) = worlds();
        let mut cast = Cast::new(&world);
        set_up(&mut world, &mut model, &mut cast)?;
        let pool = Pool::new(PoolLimits::default(), rules);
        let states = vec![world.state.clone()];
        let pools = [pool.clone(), pool];
        Ok(Chain { rules, world, model, cast, pools, ahead: vec![], states, executed: vec![] })
    }

    fn parent(&self) -> Header {
        self.ahead.last().map_or_else(|| self.world.parent.clone(), |(header, _)| header.clone())
    }

    fn ancestors(&self) -> Vec<Arc<Ancestor>> {
        self.ahead
            .iter()
            .map(|(header, transactions)| {
                let listed = listed(transactions);
                let listed = listed.iter().map(|(entry, one)| (entry, *one));
                Arc::new(Ancestor::new(header.height, listed))
            })
            .collect()
    }

    /// The verdict of a node in the given state.
    fn verdict(&self, state: &State, header: &Header, transactions: &[Transaction]) -> Verdict {
        let (parent, ancestors) = (self.parent(), self.ancestors());
        // A node behind the world's must be told of blocks that the world has executed.
        let mut known = self.executed_ancestors(state);
        known.extend(ancestors);
        let context = BlockContext {
            parent: &parent,
            ancestors: &known,
            now: self.world.now,
            proposer: header.proposer,
            rules: self.rules,
        };
        let entries: Vec<_> = transactions.iter().map(entry_of).collect();
        check(state, &context, header, &entries, &|entry| {
            let found = transactions.iter().find(|one| entry_of(one) == *entry);
            found.map_or(Found::Missing, found_here)
        })
    }

    fn executed_ancestors(&self, state: &State) -> Vec<Arc<Ancestor>> {
        (state.height() + 1..=self.world.state.height())
            .map(|height| {
                let record = self.world.state.recent(height).unwrap();
                Arc::new(Ancestor {
                    height,
                    ids: record.results.iter().map(|result| result.id).collect(),
                    claims: record.claims.iter().copied().collect(),
                })
            })
            .collect()
    }

    /// All states that have executed as much as the header reports.
    fn judges(&self, header: &Header) -> impl Iterator<Item = &State> {
        let executed = header.executed_height;
        self.states.iter().filter(move |state| state.height() >= executed)
    }

    pub fn submit(&mut self, plan: &Plan) -> Transaction {
        let transaction = self.cast.transaction(&mut self.world, plan);
        self.admit(usize::from(plan.terms) % 2, &transaction);
        transaction
    }

    /// Another transaction of the same account and signers that names the same reserves, at the
    /// other node.
    pub fn submit_twin(&mut self, plan: &Plan) -> Transaction {
        let transaction = self.cast.transaction(&mut self.world, plan);
        self.admit(usize::from(plan.terms) % 2, &transaction);
        let twin = self.cast.transaction(&mut self.world, plan);
        self.admit(1 - usize::from(plan.terms) % 2, &twin);
        twin
    }

    /// The chain's clock goes on.
    pub fn wait(&mut self, duration: DurationMs) {
        self.world.wait(duration);
    }

    /// Blocks that are not executed.
    pub fn ahead(&self) -> usize {
        self.ahead.len()
    }

    /// Executes the oldest block that is not executed, if there is one, and gives the codes of
    /// those transactions that failed although they had taken claims.
    pub fn execute(&mut self) -> Result<Vec<Reason>, TestCaseError> {
        if self.ahead.is_empty() {
            return Ok(Vec::new());
        }
        let (header, transactions) = self.ahead.remove(0);
        let (world, model, cast) = (&mut self.world, &mut self.model, &mut self.cast);
        let failures = execute_on_both(world, model, cast, &header, &transactions)?;
        for pool in &mut self.pools {
            pool.executed(&self.world.state, &listed(&transactions));
            pool.expire(header.time);
        }
        let takes = |one: &Transaction| !touches(&one.body).claims.is_empty();
        let paired = failures.into_iter().zip(&transactions);
        let failures = paired.filter(|(_, one)| takes(one)).filter_map(|(code, _)| code).collect();
        self.executed.push((header.height, transactions));
        self.states.push(self.world.state.clone());
        if self.states.len() > STATES {
            self.states.remove(0);
        }
        Ok(failures)
    }

    fn admit(&mut self, node: usize, transaction: &Transaction) {
        let now = self.world.now;
        // Refusals are part of the game; what is not refused is judged and executed below.
        let _ = admit(&mut self.pools[node], &self.world.state, transaction, now);
    }

    /// A node proposes what its pool holds; every state that can judge says the same.
    pub fn propose(&mut self, proposer: usize) -> Result<(), TestCaseError> {
        let (parent, ancestors) = (self.parent(), self.ancestors());
        let context = BlockContext {
            parent: &parent,
            ancestors: &ancestors,
            now: self.world.now,
            proposer: proposer as u64,
            rules: self.rules,
        };
        let (header, entries) = build(&self.world.state, &self.pools[proposer], &context).unwrap();
        let transactions: Vec<Transaction> = entries
            .iter()
            .map(|entry| self.pools[proposer].get(&entry.id).unwrap().1.as_ref().clone())
            .collect();
        for state in self.judges(&header) {
            prop_assert_eq!(self.verdict(state, &header, &transactions), Verdict::Valid);
        }
        self.ahead.push((header, transactions));
        Ok(())
    }

    /// A dishonest proposer puts anything into a block that reports any height: the model says
    /// whether it is valid, and every state that can judge agrees, however far it has executed.
    pub fn propose_anything(
        &self,
        transactions: &[Transaction],
        lag: usize,
    ) -> Result<(), TestCaseError> {
        let at = &self.states[self.states.len().saturating_sub(1 + lag)];
        let parent = self.parent();
        let executed_height = at.height().max(parent.executed_height);
        let state = &self.world.state;
        let entries: Vec<_> = transactions.iter().map(entry_of).collect();
        let header = Header {
            height: parent.height + 1,
            previous: parent.id(),
            time: self.world.now.max(parent.time),
            transactions_root: entries_root(&entries),
            count: entries.len() as u64,
            executed_height,
            results_root: state.results_root(parent.executed_height, executed_height).unwrap(),
            checkpoint_root: state.recent(executed_height).unwrap().checkpoint_root,
            ..parent
        };
        let unexecuted = self.executed.iter().filter(|(height, _)| *height > executed_height);
        let unexecuted = unexecuted.flat_map(|(_, transactions)| transactions);
        let ahead = self.ahead.iter().flat_map(|(_, transactions)| transactions);
        let unexecuted: Vec<&Transaction> = unexecuted.chain(ahead).collect();
        let named: Vec<&Transaction> = transactions.iter().collect();
        let time = header.time.0;
        let expected =
            self.model.judge_block(header.version, executed_height, time, &unexecuted, &named);
        let expected = match expected {
            Ok(()) => Verdict::Valid,
            Err(reason) => Verdict::Invalid(reason),
        };
        for state in self.judges(&header) {
            prop_assert_eq!(self.verdict(state, &header, transactions), expected.clone());
        }
        Ok(())
    }
}

//! A proposer that lies lists more bytes than a block may hold: what others keep of it.

use std::sync::Arc;

use tallystick_crypto::{PublicKey, SigningKey};
use tallystick_kernel::limits::BLOCK_TRANSACTION_BYTES_MAX;
use tallystick_kernel::{AccountId, Amount, Codec, CurrencyCode, DurationMs, Reason, Salt, TimeMs};
use tallystick_ledger::{Admitted, Rules, Verdict, Waiting};
use tallystick_node::block::Block;
use tallystick_node::core::{Core, Source};
use tallystick_node::for_votes::VOTE_HEIGHTS;
use tallystick_node::keys;
use tallystick_node::kv::{Kv, MemoryKv};
use tallystick_node::verification::{Named, Verified};
use tallystick_proofs::action::{Action, Line};
use tallystick_proofs::genesis::{Genesis, Governance, Parameters};
use tallystick_proofs::header::{Entry, Header, entries_root};
use tallystick_proofs::transaction::Body;

use crate::history::{START, apply, genesis};

/// A node under the newest rules, without a network, and a clock that stands still.
struct Lonely {
    kv: Arc<dyn Kv>,
    core: Core,
    parent: Block,
}

fn governed() -> Genesis {
    let plain = genesis();
    let rules_version = Rules::default().version_max;
    let governance = Some(Governance { epoch_blocks: 1 << 20, operators: 0, rules_version });
    Genesis { parameters: Parameters { governance, ..plain.parameters.clone() }, ..plain }
}

fn peer() -> PublicKey {
    SigningKey::ed25519_from_seed(&[2; 32]).public_key()
}

impl Lonely {
    fn new() -> Lonely {
        let genesis = Arc::new(governed());
        let kv: Arc<dyn Kv> = Arc::new(MemoryKv::default());
        let own = SigningKey::ed25519_from_seed(&[1; 32]).public_key();
        let header = tallystick_ledger::genesis_header(&genesis);
        let opened = Core::open(genesis, Arc::clone(&kv), Rules::default(), own, START);
        Lonely { kv, core: opened.unwrap(), parent: Block { header, entries: Vec::new() } }
    }

    /// A transaction of many bytes that anyone could sign, and that no account pays.
    fn large(&self, number: u64) -> Verified {
        let payee = AccountId([7; 32]);
        let line = |minor| {
            let reference = Some(tallystick_kernel::Reference([3; 32]));
            Line { payee, amount: Amount::new(minor).unwrap(), reference }
        };
        let mut salt = [0; 16];
        salt[..8].copy_from_slice(&number.to_be_bytes());
        let body = Body {
            network: governed().network(),
            account: payee,
            salt: Salt(salt),
            valid_until: START.after(DurationMs::minutes(5)),
            action: Action::Transfer {
                currency: CurrencyCode::new("EUR").unwrap(),
                lines: (1..=64).map(line).collect(),
            },
        };
        let bytes = body.sign(&[&SigningKey::ed25519_from_seed(&[9; 32])]).to_bytes();
        let Named { entry, transaction, bytes } = Named::read(&bytes).unwrap();
        Verified { entry, transaction, bytes }
    }

    fn store(&mut self, source: Source, bodies: &[Verified]) -> Vec<Result<Admitted, Reason>> {
        let offered: Vec<_> = bodies.iter().map(|one| (source, one.clone())).collect();
        let intent = self.core.admit(&offered, START).unwrap();
        self.kv.commit(intent.changes).unwrap();
        self.core.settle(intent.storing);
        intent.answers
    }

    fn proposed(&self, time: TimeMs, entries: Vec<Entry>) -> Arc<Block> {
        let parent = &self.parent.header;
        let header = Header {
            height: parent.height + 1,
            previous: parent.id(),
            time,
            transactions_root: entries_root(&entries),
            count: entries.len() as u64,
            executed_height: parent.height,
            ..parent.clone()
        };
        Arc::new(Block { header, entries })
    }

    fn judge(&mut self, block: &Arc<Block>) -> Verdict {
        let chain = [Arc::clone(block), Arc::new(self.parent.clone())];
        self.core.judge(&chain, 0, START).unwrap()
    }

    /// Executes an empty block.
    fn go_on(&mut self) {
        let block = self.proposed(START, Vec::new());
        apply(&mut self.core, &self.kv, &block, None, START);
        self.parent = Block::clone(&block);
    }

    fn keeps(&self, one: &Verified) -> bool {
        let here = self.kv.get(&keys::body(&one.entry)).unwrap().is_some();
        assert_eq!(here, self.core.missing(&[one.entry]).unwrap().is_empty());
        here
    }
}

#[test]
fn a_block_with_too_many_bytes_is_refused_before_all_are_here_and_leaves_none() {
    let mut node = Lonely::new();
    let one = node.large(0).bytes.len();
    let bodies: Vec<Verified> = (0..BLOCK_TRANSACTION_BYTES_MAX / one + 3)
        .map(|number| node.large(number as u64))
        .collect();
    let block = node.proposed(START, bodies.iter().map(|one| one.entry).collect());
    let (rest, first) = bodies.split_last().unwrap();
    let enough = BLOCK_TRANSACTION_BYTES_MAX / one;
    node.store(Source::Vote, &first[..enough]);
    let missing = bodies[enough..].iter().map(|one| one.entry).collect();
    assert_eq!(node.judge(&block), Verdict::Wait(Waiting::Bodies(missing)));
    // Another validator has stored some of them, and is told that they are here too.
    let answers = node.store(Source::Peer(peer()), &first[..2]);
    assert_eq!(answers, [Ok(Admitted::AlreadyHere), Ok(Admitted::AlreadyHere)]);
    node.store(Source::Vote, &first[enough..]);
    assert_eq!(node.judge(&block), Verdict::Invalid(Reason::TooLarge));
    assert!(first.iter().all(|one| node.keeps(one)) && !node.keeps(rest));
    node.go_on();
    assert!(first[2..].iter().all(|one| !node.keeps(one)), "a refused block leaves nothing");
    assert!(first[..2].iter().all(|one| node.keeps(one)), "what was promised stays");
}

#[test]
fn what_came_for_a_block_that_is_never_decided_goes_after_some_heights() {
    let mut node = Lonely::new();
    let body = node.large(0);
    node.store(Source::Vote, std::slice::from_ref(&body));
    for _ in 1..VOTE_HEIGHTS {
        node.go_on();
        assert!(node.keeps(&body));
    }
    node.go_on();
    assert!(!node.keeps(&body));
    node.store(Source::Vote, std::slice::from_ref(&body));
    assert!(node.keeps(&body), "it may come again");
}

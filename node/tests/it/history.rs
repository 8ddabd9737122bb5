//! A chain of certified blocks on one core, without a network and with a clock of its own.

use std::sync::Arc;

use tallystick_crypto::SigningKey;
use tallystick_kernel::{
    AccountId, Amount, Codec, CurrencyCode, DurationMs, Reason, Salt, TimeMs, TransactionId,
};
use tallystick_ledger::{Admitted, Rules, State};
use tallystick_node::apply::certify;
use tallystick_node::block::Block;
use tallystick_node::core::{Core, Source};
use tallystick_node::kv::{Kv, LedgerView, MemoryKv};
use tallystick_node::verification::{Named, Verified};
use tallystick_node::vote::Proposal;
use tallystick_proofs::action::{Action, Line};
use tallystick_proofs::finality::FinalityCertificate;
use tallystick_proofs::genesis::{Genesis, GenesisCurrency, Parameters, ValidatorSet};
use tallystick_proofs::header::Header;
use tallystick_proofs::owners::Owners;
use tallystick_proofs::transaction::{Body, Transaction};

pub const START: TimeMs = TimeMs(1_700_000_000_000);

pub struct History {
    pub genesis: Arc<Genesis>,
    pub kv: Arc<dyn Kv>,
    pub core: Core,
    pub tip: Block,
    pub now: TimeMs,
    /// Every payment so far.
    pub paid: Vec<TransactionId>,
    validators: Vec<SigningKey>,
    salts: u64,
}

pub fn eur() -> CurrencyCode {
    CurrencyCode::new("EUR").unwrap()
}

pub fn genesis() -> Genesis {
    let bank = SigningKey::ed25519_from_seed(&[200; 32]).public_key();
    let shop = SigningKey::ed25519_from_seed(&[201; 32]).public_key();
    let keys = (1..=4).map(|seed| SigningKey::ed25519_from_seed(&[seed; 32]).public_key());
    Genesis {
        name: "history".to_owned(),
        time: START,
        validators: ValidatorSet::new(keys.collect()).unwrap(),
        accounts: vec![Owners::single(bank), Owners::single(shop)],
        currencies: vec![GenesisCurrency { code: eur(), exponent: 2, authority: 0 }],
        parameters: Parameters {
            block_entries_max: 1000,
            idle_interval: DurationMs::seconds(2),
            checkpoint_interval: 8,
            governance: None,
        },
    }
}

pub fn open(kv: &Arc<dyn Kv>, now: TimeMs) -> Result<Core, Reason> {
    let own = SigningKey::ed25519_from_seed(&[1; 32]).public_key();
    Core::open(Arc::new(genesis()), Arc::clone(kv), Rules::default(), own, now)
}

/// What a node does with a final block whose bodies are here.
pub fn apply(
    core: &mut Core,
    kv: &Arc<dyn Kv>,
    block: &Block,
    certificate: Option<&FinalityCertificate>,
    now: TimeMs,
) {
    let mut changes = core.execute(block).unwrap();
    changes.extend(certificate.map(|found| certify(block.header.height, found)));
    kv.commit(changes).unwrap();
    core.applied(block, certificate.is_some(), now).unwrap();
}

impl History {
    pub fn new() -> History {
        History::on(Arc::new(MemoryKv::default()))
    }

    pub fn on(kv: Arc<dyn Kv>) -> History {
        let genesis = Arc::new(genesis());
        let core = open(&kv, START).unwrap();
        let header = tallystick_ledger::genesis_header(&genesis);
        let mut validators: Vec<SigningKey> =
            (1..=4).map(|seed| SigningKey::ed25519_from_seed(&[seed; 32])).collect();
        validators.sort_by_key(|key| key.public_key());
        let tip = Block { header, entries: Vec::new() };
        let (now, paid) = (START, Vec::new());
        History { genesis, kv, core, tip, now, paid, validators, salts: 0 }
    }

    pub fn account(&self, index: usize) -> AccountId {
        self.genesis.accounts().nth(index).unwrap().0
    }

    fn body(&mut self, action: Action) -> Transaction {
        self.sign(action, &[&SigningKey::ed25519_from_seed(&[200; 32])])
    }

    /// An action of the bank's account.
    pub fn sign(&mut self, action: Action, keys: &[&SigningKey]) -> Transaction {
        self.salts += 1;
        let mut salt = [0; 16];
        salt[..8].copy_from_slice(&self.salts.to_be_bytes());
        let body = Body {
            network: self.genesis.network(),
            account: self.account(0),
            salt: Salt(salt),
            valid_until: self.now.after(DurationMs::minutes(5)),
            action,
        };
        body.sign(keys)
    }

    /// Offers transactions and stores what is admitted; an answer for each.
    pub fn offer(
        &mut self,
        source: Source,
        transactions: &[Transaction],
    ) -> Vec<Result<Admitted, Reason>> {
        let offered = transactions.iter().map(|one| {
            let Named { entry, transaction, bytes } = Named::read(&one.to_bytes()).unwrap();
            (source, Verified { entry, transaction, bytes })
        });
        let intent = self.core.admit(&offered.collect::<Vec<_>>(), self.now).unwrap();
        self.kv.commit(intent.changes).unwrap();
        self.core.settle(intent.storing);
        intent.answers
    }

    /// A proof by three of the four validators.
    pub fn certify(&self, header: &Header) -> FinalityCertificate {
        let mut certificate = FinalityCertificate {
            epoch: 0,
            view: header.height,
            parent_view: header.height - 1,
            signers: vec![0, 1, 3],
            signatures: Vec::new(),
        };
        let message = certificate.message(&self.genesis.network(), &header.id());
        let signers = [0, 1, 3].map(|place| &self.validators[place]);
        certificate.signatures = signers.map(|key| key.sign(&message)).to_vec();
        certificate
    }

    /// A block `later` than the last one, with so many payments that succeed and one that fails.
    pub fn block(&mut self, later: DurationMs, payments: usize) {
        self.now = self.now.after(later);
        self.store(payments);
        let block = self.propose(&[Arc::new(self.tip.clone())]);
        let certificate = self.certify(&block.header);
        // Some blocks are final by those that follow on them.
        let certificate = (!block.header.height.is_multiple_of(3)).then_some(&certificate);
        apply(&mut self.core, &self.kv, &block, certificate, self.now);
        self.paid.extend(block.entries.iter().map(|entry| entry.id));
        self.tip = block;
    }

    /// Stores so many payments that succeed and one that fails.
    pub fn store(&mut self, payments: usize) {
        let shop = self.account(1);
        let lines = |minor| {
            let reference = Some(tallystick_kernel::Reference([minor as u8; 32]));
            vec![Line { payee: shop, amount: Amount::new(minor).unwrap(), reference }]
        };
        let mint = Action::Mint {
            currency: eur(),
            payee: self.account(0),
            amount: Amount::new(10).unwrap(),
            reference: None,
        };
        let mut transactions: Vec<Transaction> = Vec::new();
        if payments > 0 {
            transactions.push(self.body(mint));
        }
        for minor in 1..=payments as u64 {
            let action = Action::Transfer { currency: eur(), lines: lines(minor) };
            transactions.push(self.body(action));
        }
        // What the account cannot pay yet waits: another validator has admitted it.
        let peer = self.validators[1].public_key();
        let answers = self.offer(Source::Peer(peer), &transactions);
        assert!(answers.iter().all(|answer| *answer == Ok(Admitted::New)));
    }

    /// The next block on a chain, whose first is the parent.
    pub fn propose(&mut self, chain: &[Arc<Block>]) -> Block {
        let proposed = self.core.propose(chain, chain[0].header.height % 4, self.now);
        let Ok(Proposal::Block(block)) = proposed else { panic!("{proposed:?}") };
        *block
    }

    /// Long enough that what is remembered reaches back only a part of it.
    pub fn long() -> History {
        let mut history = History::new();
        history.grow(100);
        history
    }

    pub fn grow(&mut self, blocks: usize) {
        for at in 0..blocks {
            self.block(DurationMs::seconds(30), at % 3);
        }
    }

    pub fn state(&self) -> State {
        state(&self.kv)
    }
}

pub fn state(kv: &Arc<dyn Kv>) -> State {
    State::load(&genesis(), &LedgerView(kv.as_ref())).unwrap().unwrap()
}

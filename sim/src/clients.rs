//! Holders of accounts who pay each other at several nodes, some of them against themselves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use commonware_runtime::{Clock as _, Spawner as _, Supervisor as _, deterministic};
use tallystick_crypto::SigningKey;
use tallystick_kernel::{
    AccountId, Amount, Codec, CurrencyCode, DurationMs, Reason, ReserveId, Salt, TransactionId,
};
use tallystick_ledger::{claims, touches};
use tallystick_node::TransactionStatus;
use tallystick_proofs::action::{Action, Line};
use tallystick_proofs::genesis::ValidatorSet;
use tallystick_proofs::transaction::{Body, Transaction};

use crate::draw::Draw;
use crate::scenario::CHAOS_MS;
use crate::world::{Tracked, World, held};

/// What each holder is given.
const GIVEN: u64 = 100_000;
/// Reserves that each holder opens.
const RESERVES: usize = 12;
/// How long ordinary payments are valid.
const LIFE: DurationMs = DurationMs::seconds(20);

/// The one currency.
pub fn eur() -> Result<CurrencyCode, Reason> {
    CurrencyCode::new("EUR")
}

/// A holder's client.
pub struct Client {
    world: Arc<World>,
    context: deterministic::Context,
    draw: Draw,
    place: usize,
    accounts: Vec<AccountId>,
    bank: AccountId,
    salt: u64,
}

impl Client {
    /// The client of the holder at `place`.
    pub fn new(world: &Arc<World>, context: deterministic::Context, place: usize) -> Client {
        let mut accounts = world.genesis.accounts().map(|(id, _)| id);
        let bank = accounts.next().unwrap_or(AccountId::NONE);
        Client {
            draw: Draw::new(world.scenario.seed, 200 + place as u64),
            world: Arc::clone(world),
            context,
            place,
            accounts: accounts.collect(),
            bank,
            salt: 0,
        }
    }

    /// Gets money, opens reserves, and pays until the faults are over.
    pub async fn live(mut self) {
        let own = self.account();
        let (Ok(currency), Ok(amount)) = (eur(), Amount::new(GIVEN)) else { return };
        let mint = Action::Mint { currency, payee: own, amount, reference: None };
        let bank = Arc::clone(&self.world.bank);
        if !self.settle(self.bank, &mint, &bank).await {
            return;
        }
        let amounts: Vec<Amount> =
            (0..RESERVES).filter_map(|_| Amount::new(self.draw.between(1, 500)).ok()).collect();
        let open = Action::ReserveOpen { currency, amounts, lock: None, expiry: None };
        let key = self.key();
        if !self.settle(own, &open, &key).await {
            return;
        }
        while !self.is_over() {
            let pause = self.draw.between(10, self.world.scenario.pause_ms_max);
            self.context.sleep(Duration::from_millis(pause)).await;
            self.pay();
        }
    }

    /// Replaces a validator and activates the second version of the rules, as soon as may be.
    pub async fn govern(mut self) {
        let world = Arc::clone(&self.world);
        let (Some(governed), bank) = (world.scenario.governed, Arc::clone(&world.bank)) else {
            return;
        };
        let out = world.seeds.get(governed.replaced);
        let stay = world.seeds.iter().filter(|seed| Some(*seed) != out);
        let keys = stay.map(|seed| SigningKey::ed25519_from_seed(seed).public_key());
        let Ok(validators) = ValidatorSet::new(keys.collect()) else { return };
        let change = Action::ValidatorsChange { validators };
        if !self.settle(self.bank, &change, &bank).await {
            return;
        }
        let parameters = &world.genesis.parameters;
        while !self.is_over() {
            let height = held(&world.chain).height();
            // Decided at once it is soon enough; decided later it is decided again.
            let from = parameters.first_of(parameters.effective_epoch(height + 5)) + 3;
            let version = governed.rules_version + 1;
            let rules = Action::RulesActivate { version, height: from };
            if self.settle_once(self.bank, &rules, &bank).await == Some(true) {
                return;
            }
        }
    }

    /// Closes all reserves that are left, wherever it is asked; all must be free by now.
    pub async fn sweep(mut self) {
        let own = self.account();
        let honest = self.world.honest();
        let Some((seat, handle)) = self.draw.one_of(&honest).cloned() else { return };
        let left = handle.reserves(&own, None, 64);
        let reserves: Vec<ReserveId> = left.into_iter().map(|(id, _)| id).collect();
        if reserves.is_empty() {
            return;
        }
        let key = self.key();
        let close = self.sign(own, Action::ReserveClose { reserves }, &key, LIFE);
        self.offer(close.clone(), "sweeps", false, vec![seat]);
        for _ in 0..150 {
            self.context.sleep(Duration::from_millis(100)).await;
            let result = held(&self.world.chain).results.get(&close.id()).copied();
            match result {
                Some(result) if result.is_success() => return,
                Some(result) => {
                    let what = format!("the sweep of {own} fails: {:?}", result.failure);
                    return self.world.fault_all(&what);
                }
                None => {}
            }
        }
        self.world.fault(seat, &format!("does not settle the sweep {}", close.id()));
    }

    fn account(&self) -> AccountId {
        self.accounts.get(self.place).copied().unwrap_or(AccountId::NONE)
    }

    fn key(&self) -> Arc<SigningKey> {
        Arc::clone(self.world.holders.get(self.place).unwrap_or(&self.world.bank))
    }

    fn is_over(&self) -> bool {
        *held(&self.world.is_healed)
    }

    /// Tries until an action is final, anew each time it expires; false when the faults are over
    /// before.
    async fn settle(&mut self, account: AccountId, action: &Action, key: &SigningKey) -> bool {
        while !self.is_over() {
            if self.settle_once(account, action, key).await == Some(true) {
                return true;
            }
        }
        false
    }

    /// Whether an action succeeds; none when it is not final in time.
    async fn settle_once(
        &mut self,
        account: AccountId,
        action: &Action,
        key: &SigningKey,
    ) -> Option<bool> {
        let transaction = self.sign(account, action.clone(), key, DurationMs::seconds(3));
        let seat = self.draw.place(self.world.scenario.nodes);
        self.offer(transaction.clone(), "begins", false, vec![seat]);
        for _ in 0..100 {
            self.context.sleep(Duration::from_millis(50)).await;
            let result = held(&self.world.chain).results.get(&transaction.id()).copied();
            if let Some(result) = result {
                return Some(result.is_success());
            }
        }
        None
    }

    fn pay(&mut self) {
        let (own, key) = (self.account(), self.key());
        let nodes = self.world.scenario.nodes;
        let (one, other) = (self.draw.place(nodes), self.draw.place(nodes));
        let reserve = self.own_reserve();
        let short = DurationMs(self.draw.between(300, 2500));
        match (self.draw.below(100), reserve) {
            (0..25, Some(reserve)) => {
                let payment = self.remit(reserve, LIFE);
                self.offer(payment, "remits", true, vec![one]);
            }
            (25..45, Some(reserve)) => {
                let (first, second) = (self.remit(reserve, LIFE), self.remit(reserve, LIFE));
                self.offer(first, "rivals", true, vec![one]);
                self.offer(second, "rivals", true, vec![other]);
            }
            (45..55, Some(reserve)) => {
                let payment = self.remit(reserve, short);
                self.offer(payment, "hurries", true, vec![one]);
            }
            (55..62, Some(reserve)) => {
                let payment = self.remit(reserve, LIFE);
                self.offer(payment, "repeats", true, vec![one, one, other]);
            }
            (62..72, _) => {
                // Two that cannot both be paid from the balance.
                let most = GIVEN * 2 / 3;
                let transfers = [self.transfer(most, LIFE), self.transfer(most, LIFE)];
                let [first, second] = transfers;
                self.offer(first, "overdraws", true, vec![one]);
                self.offer(second, "overdraws", true, vec![other]);
            }
            (72..77, Some(reserve)) => {
                let close = Action::ReserveClose { reserves: vec![reserve] };
                let close = self.sign(own, close, &key, short);
                self.offer(close, "closes", true, vec![one]);
            }
            _ => {
                let amount = self.draw.between(1, 50);
                let transfer = self.transfer(amount, LIFE);
                self.offer(transfer, "transfers", false, vec![one]);
            }
        }
    }

    /// A reserve that a node lists as this holder's; it may be on its way already.
    fn own_reserve(&mut self) -> Option<ReserveId> {
        let honest = self.world.honest();
        let (_, handle) = self.draw.one_of(&honest)?;
        let listed = handle.reserves(&self.account(), None, 64);
        self.draw.one_of(&listed).map(|(id, _)| *id)
    }

    fn lines(&mut self, minor: u64) -> Vec<Line> {
        let payee = self.draw.one_of(&self.accounts).copied().unwrap_or(AccountId::NONE);
        let amount = Amount::new(minor).unwrap_or(Amount::ZERO);
        vec![Line { payee, amount, reference: None }]
    }

    fn remit(&mut self, reserve: ReserveId, life: DurationMs) -> Transaction {
        let (own, key) = (self.account(), self.key());
        let Ok(currency) = eur() else { unreachable!("the code is well-formed") };
        let lines = self.lines(1);
        let reserves = vec![reserve];
        self.sign(own, Action::Remit { currency, lines, reserves, reopen: Vec::new() }, &key, life)
    }

    fn transfer(&mut self, minor: u64, life: DurationMs) -> Transaction {
        let (own, key) = (self.account(), self.key());
        let Ok(currency) = eur() else { unreachable!("the code is well-formed") };
        let lines = self.lines(minor);
        self.sign(own, Action::Transfer { currency, lines }, &key, life)
    }

    fn sign(
        &mut self,
        account: AccountId,
        action: Action,
        key: &SigningKey,
        life: DurationMs,
    ) -> Transaction {
        self.salt += 1;
        let mut salt = [0; 16];
        let (front, back) = salt.split_at_mut(8);
        front.copy_from_slice(&(self.place as u64).to_be_bytes());
        back.copy_from_slice(&self.salt.to_be_bytes());
        let body = Body {
            network: self.world.genesis.network(),
            account,
            salt: Salt(salt),
            valid_until: self.world.now().after(life),
            action,
        };
        body.sign(&[key])
    }

    /// Hands a transaction in at these seats, each in a task of its own.
    fn offer(
        &self,
        transaction: Transaction,
        meaning: &'static str,
        has_rivals: bool,
        seats: Vec<usize>,
    ) {
        let id = transaction.id();
        let name = &touches(&transaction.body);
        debug_assert!(name.claims.len() <= 64);
        let tracked = Tracked {
            transaction: transaction.clone(),
            meaning,
            has_rivals,
            offered_at: seats.iter().copied().collect(),
            acknowledged_by: None,
            was_taken: false,
        };
        held(&self.world.tracked).insert(id, tracked);
        for seat in seats {
            let (world, bytes) = (Arc::clone(&self.world), transaction.to_bytes());
            let place = self.place;
            self.context.child("offer").spawn(async move |context| {
                hand_in(&context, &world, place, seat, id, bytes, meaning).await;
            });
        }
    }
}

async fn hand_in(
    context: &deterministic::Context,
    world: &World,
    holder: usize,
    seat: usize,
    id: TransactionId,
    bytes: Vec<u8>,
    meaning: &str,
) {
    let short = short(&id);
    for attempt in 0..2 {
        let handle =
            held(&world.seats).get(seat).and_then(|one| Some(one.life.as_ref()?.handle.clone()));
        let Some(handle) = handle else {
            return world.note(seat, &format!("c{holder} {meaning} {short}: it is down"));
        };
        let answers = handle.offer(holder as u128, std::slice::from_ref(&bytes)).await;
        let answer = answers.into_iter().next().map_or(Err(Reason::NotReady), |(_, answer)| answer);
        match answer {
            Ok(admitted) => {
                if world.scenario.is_honest(seat)
                    && let Some(tracked) = held(&world.tracked).get_mut(&id)
                {
                    tracked.was_taken = true;
                }
                return world.note(seat, &format!("c{holder} {meaning} {short}: {admitted:?}"));
            }
            Err(reason) => {
                let is_odd = reason == Reason::ClaimTaken
                    && world.scenario.is_honest(seat)
                    && !has_living_rival(world, &handle, &id);
                if is_odd && attempt == 0 {
                    // The rival may have ended just after the answer.
                    context.sleep(Duration::from_millis(5)).await;
                    continue;
                }
                if is_odd {
                    world
                        .fault(seat, &format!("says that a claim of {id} is taken; nobody has it"));
                }
                let code = reason.code();
                return world.note(seat, &format!("c{holder} {meaning} {short}: {code}"));
            }
        }
    }
}

/// Whether another transaction that takes one of the same claims waits or was executed there.
fn has_living_rival(
    world: &World,
    handle: &tallystick_node::NodeHandle,
    id: &TransactionId,
) -> bool {
    let tracked = held(&world.tracked);
    let Some(own) = tracked.get(id) else { return true };
    let wanted: BTreeSet<_> = claims::claims(&own.transaction.body).collect();
    tracked.iter().filter(|(other, _)| *other != id).any(|(other, one)| {
        let shares = claims::claims(&one.transaction.body).any(|claim| wanted.contains(&claim));
        shares
            && matches!(
                handle.status(other),
                TransactionStatus::Pending { .. } | TransactionStatus::Final { .. }
            )
    })
}

/// The beginning of an id, for the log.
pub fn short(id: &TransactionId) -> String {
    id.to_string().chars().take(14).collect()
}

/// For how long after the faults a transaction may still be valid.
pub const ENDS_MS: u64 = CHAOS_MS + LIFE.0;

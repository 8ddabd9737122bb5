//! Random transactions, often wrong ones, over a small cast of accounts and reserves.

use proptest::collection::vec;
use proptest::prelude::*;
use tallystick_kernel::{AccountId, CurrencyCode, DurationMs, ReserveId, TimeMs};
use tallystick_proofs::action::{Action, Lock};
use tallystick_proofs::transaction::{Transaction, account_id, reserve_id};

use crate::world::{
    ALICE, AUTHORITY, BOB, MANDATE, SHOP, STRANGER, World, amount, eur, key, line, lock, owners,
    usd,
};

/// What a plan says; numbers are taken modulo whatever there is when it is carried out.
#[derive(Clone, Debug)]
pub struct Plan {
    pub kind: u8,
    pub account: u8,
    pub signer: u8,
    pub currency: u8,
    pub payees: Vec<u8>,
    pub amounts: Vec<u64>,
    pub reserves: Vec<u8>,
    pub terms: u8,
}

/// One to `count_max` plans.
pub fn plans(count_max: usize) -> impl Strategy<Value = Vec<Plan>> {
    vec(plan(), 1..=count_max)
}

fn plan() -> impl Strategy<Value = Plan> {
    let small = prop_oneof![8 => 1..200_u64, 2 => 1..2_000_u64, 1 => 1 << 40..(1_u64 << 62)];
    (
        any::<u8>(),
        any::<u8>(),
        any::<u8>(),
        any::<u8>(),
        vec(any::<u8>(), 1..4),
        vec(small, 1..4),
        vec(any::<u8>(), 1..4),
        any::<u8>(),
    )
        .prop_map(|(kind, account, signer, currency, payees, amounts, reserves, terms)| Plan {
            kind,
            account,
            signer,
            currency,
            payees,
            amounts,
            reserves,
            terms,
        })
}

/// Who and what the plans may name.
pub struct Cast {
    /// Each with the seeds of keys that control it.
    pub accounts: Vec<(AccountId, Vec<u8>)>,
    /// Every reserve that was ever opened.
    pub reserves: Vec<(ReserveId, AccountId)>,
}

impl Cast {
    pub fn new(world: &World) -> Cast {
        let accounts = vec![
            (world.alice(), vec![ALICE]),
            (world.bob(), BOB[..2].to_vec()),
            (world.shop(), vec![SHOP]),
            (world.authority(), vec![AUTHORITY]),
        ];
        Cast { accounts, reserves: Vec::new() }
    }

    /// Carries out a plan: a signed transaction whose form is right.
    pub fn transaction(&self, world: &mut World, plan: &Plan) -> Transaction {
        let (mut account, mut signers) = self.pick_account(plan.account);
        let action = match plan.kind % 16 {
            0 => {
                account = AccountId::NONE;
                signers = vec![plan.terms % 8 + 100];
                Action::AccountOpen { owners: owners(&signers, 1) }
            }
            1 | 2 => {
                (account, signers) = (world.authority(), vec![AUTHORITY]);
                Action::Mint {
                    currency: currency(plan.currency),
                    payee: self.pick_payee(plan.payees[0]),
                    amount: amount(plan.amounts[0]),
                    reference: None,
                }
            }
            3 => {
                Action::Burn { currency: currency(plan.currency), amount: amount(plan.amounts[0]) }
            }
            4 | 5 => {
                Action::Transfer { currency: currency(plan.currency), lines: self.lines(plan) }
            }
            6..9 => Action::ReserveOpen {
                currency: currency(plan.currency),
                amounts: plan.amounts.iter().map(|minor| amount(*minor)).collect(),
                lock: pick_lock(plan.terms, world),
                expiry: pick_expiry(plan.terms, world.now),
            },
            9 => Action::ReserveClose {
                reserves: self.pick_reserves(plan, &mut account, &mut signers),
            },
            10 => Action::UnlockRequest {
                reserves: self.pick_reserves(plan, &mut account, &mut signers),
            },
            _ => {
                let reserves = self.pick_reserves(plan, &mut account, &mut signers);
                if plan.signer.is_multiple_of(2) {
                    signers = vec![MANDATE];
                }
                let reopened = usize::from(plan.terms % 3).min(plan.amounts.len() - 1);
                let reopen = plan.amounts[..reopened].iter().map(|minor| amount(minor % 50 + 1));
                Action::Remit {
                    currency: currency(plan.currency),
                    lines: self.lines(plan),
                    reserves,
                    reopen: reopen.collect(),
                }
            }
        };
        match plan.signer {
            0..4 => signers = vec![STRANGER],
            4..8 => signers.push(STRANGER),
            8..12 => signers.truncate(1),
            _ => {}
        }
        let keys: Vec<_> = signers.iter().map(|seed| key(*seed)).collect();
        world.body(account, action).sign(&keys.iter().collect::<Vec<_>>())
    }

    /// Takes note of what an executed transaction may have made.
    pub fn note(&mut self, transaction: &Transaction) {
        let id = transaction.id();
        match &transaction.body.action {
            Action::AccountOpen { owners } => {
                if self.accounts.iter().any(|(known, _)| *known == account_id(&id)) {
                    return;
                }
                let seed = (100..108).find(|seed| owners.keys[0] == key(*seed).public_key());
                self.accounts.push((account_id(&id), vec![seed.unwrap()]));
            }
            Action::ReserveOpen { amounts, .. } | Action::Remit { reopen: amounts, .. } => {
                let made = (0..amounts.len() as u64).map(|index| reserve_id(&id, index));
                self.reserves.extend(made.map(|made| (made, transaction.body.account)));
            }
            _ => {}
        }
    }

    fn pick_account(&self, pick: u8) -> (AccountId, Vec<u8>) {
        match self.accounts.get(usize::from(pick) % (self.accounts.len() + 1)) {
            Some(found) => found.clone(),
            None => (self.accounts[0].0, self.accounts[0].1.clone()),
        }
    }

    fn pick_payee(&self, pick: u8) -> AccountId {
        if pick >= 250 { AccountId([pick; 32]) } else { self.pick_account(pick).0 }
    }

    /// Distinct reserves, and mostly the account that they belong to.
    fn pick_reserves(
        &self,
        plan: &Plan,
        account: &mut AccountId,
        signers: &mut Vec<u8>,
    ) -> Vec<ReserveId> {
        let mut picked: Vec<ReserveId> = Vec::new();
        for pick in &plan.reserves {
            // Most reserves named are young, for the old ones are spent.
            let young = self.reserves.len().min(16);
            let place = self.reserves.len() - young + usize::from(*pick) % young.max(1);
            let (id, owner) = match self.reserves.get(place) {
                Some(found) if *pick < 250 => *found,
                _ => (ReserveId([*pick; 32]), *account),
            };
            if plan.account.is_multiple_of(8) || picked.is_empty() {
                let of_owner = self.accounts.iter().find(|(known, _)| *known == owner);
                if let Some((_, seeds)) = of_owner {
                    (*account, *signers) = (owner, seeds.clone());
                }
            }
            if !picked.contains(&id) {
                picked.push(id);
            }
        }
        picked
    }

    fn lines(&self, plan: &Plan) -> Vec<tallystick_proofs::action::Line> {
        let paired = plan.payees.iter().zip(&plan.amounts);
        paired.map(|(payee, minor)| line(self.pick_payee(*payee), *minor)).collect()
    }
}

fn currency(pick: u8) -> CurrencyCode {
    match pick {
        0..4 => CurrencyCode::new("GOLD").unwrap(),
        4..40 => usd(),
        _ => eur(),
    }
}

fn pick_lock(pick: u8, world: &World) -> Option<Lock> {
    match pick % 8 {
        0..2 => None,
        2..6 => Some(lock()),
        6 => Some(Lock { payment_max: Some(amount(100)), ..lock() }),
        _ => {
            let seed = [MANDATE, MANDATE, STRANGER, ALICE][usize::from(pick / 64)];
            let mandate = key(seed).public_key();
            Some(Lock { mandate, payees: vec![world.shop()], ..lock() })
        }
    }
}

fn pick_expiry(pick: u8, now: TimeMs) -> Option<TimeMs> {
    match pick / 8 % 8 {
        0 => Some(TimeMs(now.0 + 1)),
        1 => Some(now.after(DurationMs::minutes(30))),
        2 => Some(now),
        _ => None,
    }
}

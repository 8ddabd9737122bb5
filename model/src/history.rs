//! Facts, in the order in which they happened, and what can be told from them.

use std::collections::BTreeMap;

use tallystick_kernel::{AccountId, CurrencyCode, ReserveId};
use tallystick_proofs::action::Lock;
use tallystick_proofs::genesis::ValidatorSet;
use tallystick_proofs::owners::Owners;

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    AccountOpened {
        id: AccountId,
        owners: Owners,
    },
    CurrencyMade {
        code: CurrencyCode,
        authority: AccountId,
    },
    /// The owners of an account were named as operators.
    OperatorsNamed {
        account: AccountId,
        epoch_blocks: u64,
    },
    /// The validators from an epoch on were decided.
    SetDecided {
        epoch: u64,
        set: ValidatorSet,
    },
    /// The rules from a height on were decided.
    RulesDecided {
        from_height: u64,
        version: u64,
    },
    /// Money came into being.
    Minted {
        code: CurrencyCode,
        to: AccountId,
        minor: u64,
    },
    /// Money went out of being.
    Burned {
        code: CurrencyCode,
        from: AccountId,
        minor: u64,
    },
    /// Free money went from one account to another.
    Paid {
        code: CurrencyCode,
        from: AccountId,
        to: AccountId,
        minor: u64,
    },
    /// Free money was set aside.
    SetAside {
        id: ReserveId,
        view: ReserveView,
    },
    /// A reserve became free money of its account.
    Freed {
        id: ReserveId,
    },
    /// The owners asked for a reserve.
    UnlockAsked {
        id: ReserveId,
        unlock_at_ms: u64,
    },
}

/// A reserve as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReserveView {
    /// Whose it is.
    pub account: AccountId,
    /// Its currency.
    pub code: CurrencyCode,
    /// How much.
    pub minor: u64,
    /// Its lock.
    pub lock: Option<Lock>,
    /// From when on it only closes.
    pub expiry_ms: Option<u64>,
    /// From when on its owners may spend it though it is locked.
    pub unlock_at_ms: Option<u64>,
}

/// Facts with the heights of the blocks in which they happened.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) facts: Vec<(u64, Fact)>,
}

impl History {
    /// What had happened up to a height.
    pub(crate) fn until(&self, height: u64) -> History {
        let facts = self.facts.iter().filter(|(at, _)| *at <= height).cloned().collect();
        History { facts }
    }

    pub(crate) fn owners(&self, account: &AccountId) -> Option<&Owners> {
        self.facts.iter().find_map(|(_, fact)| match fact {
            Fact::AccountOpened { id, owners } if id == account => Some(owners),
            _ => None,
        })
    }

    pub(crate) fn authority(&self, currency: &CurrencyCode) -> Option<AccountId> {
        self.facts.iter().find_map(|(_, fact)| match fact {
            Fact::CurrencyMade { code, authority } if code == currency => Some(*authority),
            _ => None,
        })
    }

    /// The operators' account and the heights of an epoch.
    pub(crate) fn operators(&self) -> Option<(AccountId, u64)> {
        self.facts.iter().find_map(|(_, fact)| match fact {
            Fact::OperatorsNamed { account, epoch_blocks } => Some((*account, *epoch_blocks)),
            _ => None,
        })
    }

    /// The validators that were decided for an epoch, if it begins with new ones.
    pub(crate) fn set_decided(&self, from: u64) -> Option<&ValidatorSet> {
        self.facts.iter().find_map(|(_, fact)| match fact {
            Fact::SetDecided { epoch, set } if *epoch == from => Some(set),
            _ => None,
        })
    }

    /// The last decision on rules: from which height on, and which version.
    pub(crate) fn rules_decided(&self) -> Option<(u64, u64)> {
        self.facts.iter().rev().find_map(|(_, fact)| match fact {
            Fact::RulesDecided { from_height, version } => Some((*from_height, *version)),
            _ => None,
        })
    }

    /// What an account can spend freely: all that came minus all that went.
    pub(crate) fn free(&self, account: &AccountId, currency: &CurrencyCode) -> i128 {
        let mut sum = 0_i128;
        for (_, fact) in &self.facts {
            match fact {
                Fact::Minted { code, to, minor } if code == currency && to == account => {
                    sum += i128::from(*minor);
                }
                Fact::Burned { code, from, minor } if code == currency && from == account => {
                    sum -= i128::from(*minor);
                }
                Fact::Paid { code, from, to, minor } if code == currency => {
                    sum -= if from == account { i128::from(*minor) } else { 0 };
                    sum += if to == account { i128::from(*minor) } else { 0 };
                }
                Fact::SetAside { view, .. } if view.code == *currency => {
                    sum -= if view.account == *account { i128::from(view.minor) } else { 0 };
                }
                Fact::Freed { id } => {
                    let view = self.set_aside(id);
                    let mine = view.filter(|view| view.code == *currency);
                    let mine = mine.filter(|view| view.account == *account);
                    sum += mine.map_or(0, |view| i128::from(view.minor));
                }
                _ => {}
            }
        }
        sum
    }

    pub(crate) fn supply(&self, currency: &CurrencyCode) -> i128 {
        let changes = self.facts.iter().map(|(_, fact)| match fact {
            Fact::Minted { code, minor, .. } if code == currency => i128::from(*minor),
            Fact::Burned { code, minor, .. } if code == currency => -i128::from(*minor),
            _ => 0,
        });
        changes.sum()
    }

    /// The reserve, if it was set aside and not freed since.
    pub(crate) fn reserve(&self, wanted: &ReserveId) -> Option<ReserveView> {
        let freed = |fact: &Fact| matches!(fact, Fact::Freed { id } if id == wanted);
        if self.facts.iter().any(|(_, fact)| freed(fact)) {
            return None;
        }
        let mut view = self.set_aside(wanted)?.clone();
        for (_, fact) in &self.facts {
            match fact {
                Fact::UnlockAsked { id, unlock_at_ms } if id == wanted => {
                    view.unlock_at_ms = Some(*unlock_at_ms);
                }
                _ => {}
            }
        }
        Some(view)
    }

    pub(crate) fn reserves(&self) -> BTreeMap<ReserveId, ReserveView> {
        let ids = self.facts.iter().filter_map(|(_, fact)| match fact {
            Fact::SetAside { id, .. } => Some(*id),
            _ => None,
        });
        ids.filter_map(|id| Some((id, self.reserve(&id)?))).collect()
    }

    pub(crate) fn free_balances(&self) -> BTreeMap<(AccountId, CurrencyCode), u64> {
        let mut balances = BTreeMap::new();
        for (_, account) in &self.facts {
            let Fact::AccountOpened { id, .. } = account else { continue };
            for (_, currency) in &self.facts {
                let Fact::CurrencyMade { code, .. } = currency else { continue };
                let free = self.free(id, code);
                assert!(free >= 0, "no free balance is ever below zero");
                if let Ok(minor @ 1..) = u64::try_from(free) {
                    balances.insert((*id, *code), minor);
                }
            }
        }
        balances
    }

    fn set_aside(&self, wanted: &ReserveId) -> Option<&ReserveView> {
        self.facts.iter().find_map(|(_, fact)| match fact {
            Fact::SetAside { id, view } if id == wanted => Some(view),
            _ => None,
        })
    }
}

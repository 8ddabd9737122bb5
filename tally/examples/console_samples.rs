//! Writes every page of the console with sample values to a folder, to be looked at in a browser:
//! `cargo run --release -p tallystick-tally --example console_samples FOLDER`.

use std::path::Path;

use maud::Markup;
use tallystick_kernel::{
    AccountId, Amount, BlockId, CurrencyCode, NetworkId, Reason, TimeMs, TransactionId,
};
use tallystick_tally::console::files::{FILES, PREFIX};
use tallystick_tally::console::layout::{Links, Page, Place, document};
use tallystick_tally::console::money::Money;
use tallystick_tally::console::pages::account::{AccountView, Holding, account};
use tallystick_tally::console::pages::block::{BlockView, block};
use tallystick_tally::console::pages::holder::{
    HolderView, PaymentEntry, RefusedCharge, Stage, holder,
};
use tallystick_tally::console::pages::login::{LoginView, login};
use tallystick_tally::console::pages::missing::missing;
use tallystick_tally::console::pages::network::{
    BlockLine, Change, Coming, NetworkView, Rule, TransactionLine, network,
};
use tallystick_tally::console::pages::operator::{
    CertificateEntry, HolderEntry, OperatorView, SettlementEntry, operator,
};
use tallystick_tally::console::pages::payment::{
    PaymentLine, PaymentState, PaymentView, Wanted, payment,
};
use tallystick_tally::console::pages::till::{ChargeEntry, Refused, TillView, Typed, charge, till};
use tallystick_tally::console::table::Listed;

const NOW: TimeMs = TimeMs(1_795_593_600_000);

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "target/console".to_owned());
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder.join(PREFIX.trim_matches('/')))?;
    for file in FILES {
        std::fs::write(folder.join(PREFIX.trim_matches('/')).join(file.name), file.bytes)?;
    }
    for (name, place, content) in pages() {
        let links = Links {
            network: "http://127.0.0.1:7300".to_owned(),
            issuer: "http://127.0.0.1:7320".to_owned(),
            merchant: "http://127.0.0.1:7340".to_owned(),
        };
        let modules: &[&str] = match name {
            "payment" => &["verify-receipt.js"],
            "till" => &["till.js"],
            "holder" => &["code.js"],
            _ => &[],
        };
        let page = Page {
            title: name,
            place,
            links: &links,
            logged_in: (place != Place::Network && name != "login").then_some("token"),
            modules,
            live: (name == "network").then_some("/v1/events"),
            is_narrow: matches!(name, "login" | "missing"),
            content,
        };
        std::fs::write(folder.join(format!("{name}.html")), document(&page).into_string())?;
    }
    Ok(())
}

fn pages() -> Vec<(&'static str, Place, Markup)> {
    let refused = LoginView {
        kicker: "Holder",
        title: "Log in",
        lead: "Your account, your code to pay with, and what was paid.",
        action: "/",
        by_password: true,
        refused: Some(Reason::LoginWrong.sentence()),
    };
    vec![
        ("network", Place::Network, network(&network_view())),
        ("account", Place::Network, account(&account_view())),
        ("block", Place::Network, block(&block_view())),
        ("payment", Place::Network, payment(&payment_view())),
        ("missing", Place::Network, missing(Reason::NotFound, Some("Look for something else."))),
        ("login", Place::Holder, login(&refused)),
        ("holder", Place::Holder, holder(&holder_view())),
        ("operator", Place::Operator, operator(&operator_view())),
        ("till", Place::Till, till(&till_view())),
        ("charge", Place::Till, charge(&charge_entry(3, Stage::Settled), "http://127.0.0.1:7300")),
    ]
}

fn money(minor: u64) -> Money {
    let currency = CurrencyCode::new("TLY").expect("a currency's code");
    Money { amount: Amount::new(minor).expect("an amount"), currency, exponent: 2 }
}

fn id(seed: u8) -> [u8; 32] {
    core::array::from_fn(|place| seed.wrapping_mul(37).wrapping_add((place * place * 29) as u8))
}

fn key(seed: u8) -> String {
    format!("tlyk1{}", tallystick_kernel::hex::encode(&id(seed)))
}

fn before(seconds: u64) -> TimeMs {
    TimeMs(NOW.0 - seconds * 1000)
}

fn lines(count: u8) -> Vec<TransactionLine> {
    let actions = ["remit", "remit", "reserve_open", "remit", "mint", "account_open"];
    let line = |place: u8| {
        let action = actions[usize::from(place) % actions.len()];
        TransactionLine {
            id: TransactionId(id(place)),
            action,
            amount: (action != "account_open").then(|| money(1230 + u64::from(place) * 40_750)),
            account: (action != "account_open").then(|| AccountId(id(100 + place % 3))),
            height: 1842 - u64::from(place) * 3,
            is_success: place != 3,
        }
    };
    (0..count).map(line).collect()
}

fn network_view() -> NetworkView {
    let block = |place: u64| BlockLine {
        height: 1843 - place,
        time: before(place * 2),
        proposer: (place * 3) % 4,
        count: if place == 1 { 2 } else { u64::from(place.is_multiple_of(3)) },
    };
    NetworkView {
        name: "Riverside local".to_owned(),
        id: NetworkId(id(1)),
        height: 1843,
        reported_height: 1841,
        time: before(2),
        epoch: 0,
        now: Rule { validators: (1..5).map(key).collect(), quorum: 3, rules_version: 2 },
        coming: vec![
            Coming { from_height: 4096, change: Change::Rules { version: 3, is_known: true } },
            Coming {
                from_height: 8192,
                change: Change::Validators {
                    joining: vec![key(8)],
                    leaving: vec![key(4)],
                    decided_by: Some(TransactionId(id(30))),
                },
            },
        ],
        peers_connected: 3,
        pool_size: 0,
        supplies: vec![money(12_450_000)],
        blocks: (0..8).map(block).collect(),
        transactions: lines(6),
    }
}

fn holdings() -> Vec<Holding> {
    let reserves = [(2000, true), (1000, true), (500, true), (500, false), (250, false)]
        .map(|(minor, locked)| (money(minor), locked));
    vec![Holding { total: money(10_000), free: money(5750), reserves: reserves.to_vec() }]
}

fn account_view() -> AccountView {
    AccountView {
        id: AccountId(id(7)),
        threshold: 1,
        keys: vec![key(9)],
        holdings: holdings(),
        has_more: false,
        lately: lines(3),
        looked_through: 256,
    }
}

fn block_view() -> BlockView {
    BlockView {
        id: BlockId(id(3)),
        height: 1842,
        previous: BlockId(id(4)),
        time: before(4),
        proposer: 2,
        executed_height: 1840,
        results_root: tallystick_kernel::hex::encode(&id(5)),
        checkpoint_root: tallystick_kernel::hex::encode(&id(6)),
        signers: Some(vec![0, 1, 3]),
        transactions: lines(2),
        has_next: true,
    }
}

fn payment_view() -> PaymentView {
    let line = PaymentLine {
        payee: AccountId(id(11)),
        amount: money(1230),
        reference: Some(tallystick_kernel::Reference(id(12)).to_string()),
    };
    PaymentView {
        id: TransactionId(id(8)),
        state: PaymentState::Final(1840, None),
        wanted: Some(Wanted {
            action: "remit",
            account: Some(AccountId(id(7))),
            valid_until: before(0),
            total: Some(money(1230)),
            lines: vec![line],
            signers: vec![key(9)],
        }),
        time: Some(before(6)),
        has_receipt: true,
    }
}

fn listed<T>(entries: impl IntoIterator<Item = T>, has_older: bool) -> Listed<T> {
    let older = has_older.then(|| "?before=x".to_owned());
    Listed { entries: entries.into_iter().collect(), older, newest: None }
}

fn holder_view() -> HolderView {
    let entry = |place: u8| PaymentEntry {
        time: before(u64::from(place) * 4000),
        merchant: "Corner shop".to_owned(),
        payee: AccountId(id(11)),
        amount: money(1230 + u64::from(place) * 312),
        state: [Stage::Submitted, Stage::Settled, Stage::Settled, Stage::Failed]
            [usize::from(place)],
        transaction: (place > 0).then(|| TransactionId(id(place))),
    };
    HolderView {
        id: "demo".to_owned(),
        name: "demo".to_owned(),
        account: Some(AccountId(id(7))),
        holdings: Some(holdings()),
        payments: listed((0..4).map(entry), true),
        refused: Some(RefusedCharge {
            time: before(20),
            merchant: "Corner shop".to_owned(),
            amount: money(7000),
            reason: Reason::NoReserveFits,
        }),
        form_token: "token".to_owned(),
        network: "http://127.0.0.1:7300".to_owned(),
    }
}

fn operator_view() -> OperatorView {
    let settlement = |place: u8| SettlementEntry {
        id: tallystick_kernel::hex::encode(&id(place)),
        time: before(u64::from(place) * 900),
        holder: Some("demo".to_owned()),
        merchant: (place != 2).then(|| "Corner shop".to_owned()),
        amount: money(5000 * u64::from(place) + 1230),
        state: [Stage::Accepted, Stage::Submitted, Stage::Settled, Stage::Failed]
            [usize::from(place)],
        transaction: (place > 0).then(|| TransactionId(id(place))),
        failure: (place == 3).then_some(Reason::InsufficientFunds),
    };
    let holder = |(place, name): (u8, &str)| HolderEntry {
        id: name.to_owned(),
        name: name.to_owned(),
        account: (place < 2).then(|| AccountId(id(place))),
    };
    let certificate = |place: u8| CertificateEntry {
        serial: tallystick_kernel::hex::encode(&id(place)[..16]),
        device: "Firefox on Linux".to_owned(),
        holder: "demo".to_owned(),
        since: before(100_000),
        revoked: (place == 1).then(|| before(86_400)),
    };
    OperatorView {
        holders: listed([(0, "demo"), (1, "alice"), (2, "bob <b>")].map(holder), false),
        fundings: listed((2..3).map(settlement), false),
        authorizations: listed((0..4).map(settlement), true),
        certificates: listed((0..2).map(certificate), false),
        form_token: "token".to_owned(),
        once: "once".to_owned(),
        network: "http://127.0.0.1:7300".to_owned(),
        currency: "TLY".to_owned(),
        outcome: Some(Ok("100.00 TLY are on their way to demo.".to_owned())),
        typed: (String::new(), String::new()),
    }
}

fn charge_entry(place: u8, state: Stage) -> ChargeEntry {
    ChargeEntry {
        id: tallystick_kernel::hex::encode(&id(place)),
        order: format!("table {place}, two coffees"),
        time: before(u64::from(place) * 700),
        amount: money(1230 + u64::from(place) * 250),
        state,
        transaction: (state == Stage::Settled).then(|| TransactionId(id(place))),
        failure: (state == Stage::Failed).then_some(Reason::InsufficientFunds),
    }
}

fn till_view() -> TillView {
    let states = [Stage::Submitted, Stage::Settled, Stage::Settled, Stage::Failed];
    TillView {
        name: "Corner shop".to_owned(),
        currency: "TLY".to_owned(),
        charges: listed((0..4).map(|place| charge_entry(place, states[usize::from(place)])), true),
        form_token: "token".to_owned(),
        network: "http://127.0.0.1:7300".to_owned(),
        refused: Some(Refused { reason: Reason::AmountMalformed, field: Some("amount") }),
        typed: Typed {
            amount: "ten".to_owned(),
            order: "table 7".to_owned(),
            code: "TLY1:6BFOXN*TS0BI$ZD".to_owned(),
        },
    }
}

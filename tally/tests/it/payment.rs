//! Payments by code: what is paid, what is refused, and QR codes of other programs.

use std::process::Command;

use tallystick_api::issuer::Progress;
use tallystick_kernel::{Amount, CurrencyCode, DurationMs, TimeMs};
use tallystick_proofs::payment_code;
use tallystick_tally::commands::wallet::folder::Wallet;

use crate::network::run;
use crate::world::{charge_request, refused, small, tally};

/// A program of the system; without it the test fails by its name.
fn program(name: &str, package: &str) -> Command {
    let found = Command::new("which").arg(name).output().unwrap();
    assert!(found.status.success(), "{name} is missing: apt-get install {package}");
    Command::new(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_pays_once_up_to_its_cap_from_reserves_that_are_there() {
    let (_folder, _network, world) = small(&["20.00", "10.00"]);
    let code = world.code(|_| {});
    let paid = world.charge(&code, 1230).await;
    assert_eq!(paid.state, Progress::Settled, "{paid:?}");
    assert_eq!(world.money().await, (7000, 3000 - 1230, 1230));
    let again = world.charge(&code, 100).await;
    assert_eq!(again.failure.as_deref(), Some("code_replayed"));
    let over = world.charge(&world.code(|_| {}), 5001).await;
    assert_eq!(over.failure.as_deref(), Some("code_limit_exceeded"));
    let none = world.charge(&world.code(|_| {}), 4000).await;
    assert_eq!(none.failure.as_deref(), Some("no_reserve_fits"));
    // The change was reserved again and pays the next one.
    let rest = world.charge(&world.code(|_| {}), 1770).await;
    assert_eq!(rest.state, Progress::Settled, "{rest:?}");
    assert_eq!(world.money().await, (7000, 0, 3000));
    let history = tally(&["wallet", "history", "--data", &world.path("alice"), "--output", "json"]);
    let history: serde_json::Value = serde_json::from_str(&history).unwrap();
    let payments = history["payments"].as_array().unwrap();
    assert_eq!(payments.len(), 2, "{history}");
    assert!(payments.iter().all(|payment| payment["proven"] == true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_code_pays_its_own_amount_only_and_an_expired_one_nothing() {
    let (_folder, _network, world) = small(&["20.00"]);
    let euro = CurrencyCode::new("EUR").unwrap();
    let bound = world.code(|claims| claims.amount = Some((euro, Amount::new(700).unwrap())));
    let key = tallystick_tally::source::idempotency_key().unwrap();
    let refusal = world.till().charge(&charge_request(&bound, 701), &key).await.unwrap_err();
    assert_eq!(refusal.reason.code(), "amount_differs");
    assert_eq!(world.charge(&bound, 700).await.state, Progress::Settled);
    let expired = world.code(|claims| {
        claims.issued = TimeMs(claims.issued.0 - 60_000);
        claims.expires = TimeMs(claims.expires.0 - 61_000);
    });
    let key = tallystick_tally::source::idempotency_key().unwrap();
    let refusal = world.till().charge(&charge_request(&expired, 100), &key).await.unwrap_err();
    assert_eq!(refusal.reason.code(), "expired");
    let merchant = world.path("merchant");
    refused(&["merchant", "verify", "--data", &merchant, "--code", &expired], "expired");
    let future = world.code(|claims| {
        claims.issued = claims.issued.after(DurationMs::seconds(30));
        claims.expires = claims.expires.after(DurationMs::seconds(30));
    });
    refused(&["merchant", "verify", "--data", &merchant, "--code", &future], "not_yet_valid");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_charges_at_once_for_one_reserve_pay_once() {
    let (_folder, _network, world) = small(&["10.00"]);
    let codes: Vec<String> = (0..4).map(|_| world.code(|_| {})).collect();
    let charges = codes.iter().map(|code| world.charge(code, 1000));
    let ended = futures_of(charges.collect()).await;
    let settled = ended.iter().filter(|charge| charge.state == Progress::Settled).count();
    assert_eq!(settled, 1, "{ended:?}");
    let others = ended.iter().filter(|charge| charge.state == Progress::Failed);
    assert!(others.clone().all(|charge| charge.failure.as_deref() == Some("no_reserve_fits")));
    assert_eq!(others.count(), 3);
    assert_eq!(world.money().await, (9000, 0, 1000));
}

async fn futures_of<T>(work: Vec<impl Future<Output = T>>) -> Vec<T> {
    futures::future::join_all(work).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_an_unknown_or_revoked_device_is_refused() {
    let (_folder, _network, world) = small(&["20.00"]);
    let merchant = world.path("merchant");
    let verify = |code: &str| {
        let arguments = ["merchant", "verify", "--data", &merchant, "--code", code];
        run(&arguments)
    };
    // Before the first contact a code without its certificate cannot be told from a forged one.
    let mut bare = tally(&["wallet", "code", "--data", &world.path("alice")]);
    bare.truncate(bare.trim_end().len());
    assert!(verify(&bare).2.contains("(key_unknown)"));
    let (code, _, said) = verify(&world.code(|_| {}));
    assert_eq!(code, 0, "{said}");
    assert_eq!(world.charge(&world.code(|_| {}), 100).await.state, Progress::Settled);
    assert_eq!(verify(&bare).0, 0, "the certificate was learnt");
    // The claims of another account under this device's key.
    let foreign = world.code(|claims| claims.account_token = "00".repeat(16));
    assert!(verify(&foreign).2.contains("(account_mismatch)"));
    // A key that nobody certified.
    let thief = tallystick_crypto::SigningKey::p256_from_scalar(&[7; 32]).unwrap();
    let mut wallet = Wallet::open(world.path("alice").as_ref()).unwrap();
    let life = DurationMs::seconds(60);
    let now = tallystick_tally::source::now();
    let (state, claims) =
        tallystick_wallet::payment_code::next(&wallet.state, [1; 16], None, life, now).unwrap();
    wallet.state = state;
    let chain = wallet.state.chain[..1].to_vec();
    drop(wallet);
    let forged = payment_code::make(&claims, &thief, Some(&chain)).unwrap();
    assert!(verify(&forged).2.contains("(key_unknown)"));
    assert!(verify("TLY1:%%%").2.contains("(base45_malformed)"));
    assert!(verify("HC1:ABC").2.contains("(prefix_unknown)"));
    assert!(verify(&bomb()).2.contains("(too_large)"));

    let leaf = tallystick_proofs::x509_certificate::X509Certificate::read(&chain[0]).unwrap();
    let serial = tallystick_kernel::hex::encode(leaf.serial());
    tally(&["issuer", "ca", "--data", &world.path("issuer"), "--revoke", &serial]);
    let revoked = world.charge(&world.code(|_| {}), 100).await;
    assert_eq!(revoked.failure.as_deref(), Some("revoked"));
}

/// A small code that would inflate to ten megabytes.
fn bomb() -> String {
    use std::io::Write as _;
    let mut stream = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    stream.write_all(&vec![0; 10 << 20]).unwrap();
    let bytes = stream.finish().unwrap();
    format!("TLY1:{}", tallystick_proofs::base45::encode(&bytes[..bytes.len().min(7000)]))
}

#[test]
fn openssl_accepts_the_chain_of_a_device_until_it_is_revoked() {
    let (_folder, _network, world) = small(&["5.00"]);
    let path = |name: &str| world.path(name);
    let openssl = |arguments: &[&str]| {
        let output = program("openssl", "openssl").args(arguments).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    let wallet = Wallet::open(path("alice").as_ref()).unwrap();
    let leaf = &wallet.state.chain[0];
    std::fs::write(path("leaf.der"), leaf).unwrap();
    let (issuer, root, list) = (path("issuer"), path("root.der"), path("issuer.crl"));
    let fetch = |more: &[&str]| {
        let mut arguments = vec![
            "issuer",
            "ca",
            "--data",
            &issuer,
            "--certificate",
            &root,
            "--revocation-list",
            &list,
        ];
        arguments.extend(more);
        tally(&arguments);
        for (kind, from, to) in [
            ("x509", "root.der", "root.pem"),
            ("x509", "leaf.der", "leaf.pem"),
            ("crl", "issuer.crl", "crl.pem"),
        ] {
            let (from, to) = (path(from), path(to));
            let done = openssl(&[kind, "-inform", "DER", "-in", &from, "-out", &to]);
            assert!(done.0, "{}", done.1);
        }
        openssl(&[
            "verify",
            "-x509_strict",
            "-crl_check",
            "-CAfile",
            &path("root.pem"),
            "-CRLfile",
            &path("crl.pem"),
            &path("leaf.pem"),
        ])
    };
    let (accepted, said) = fetch(&[]);
    assert!(accepted, "{said}");
    let read = tallystick_proofs::x509_certificate::X509Certificate::read(leaf).unwrap();
    let serial = tallystick_kernel::hex::encode(read.serial());
    let (accepted, said) = fetch(&["--revoke", &serial]);
    assert!(!accepted && said.contains("revoked"), "{said}");
}

#[test]
fn our_picture_is_read_by_zbar_and_one_of_qrencode_is_read_by_us() {
    let (_folder, _network, world) = small(&["5.00"]);
    let (alice, ours, theirs) =
        (world.path("alice"), world.path("ours.png"), world.path("theirs.png"));
    let shown = tally(&[
        "wallet",
        "code",
        "--data",
        &alice,
        "--first-contact",
        "--image",
        &ours,
        "--output",
        "json",
    ]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let code = shown["code"].as_str().unwrap();
    let mut zbar = program("zbarimg", "zbar-tools");
    let read = zbar.args(["--quiet", "--raw", "-S*.disable", "-Sqrcode.enable", &ours]).output();
    let read = String::from_utf8(read.unwrap().stdout).unwrap();
    assert_eq!(read.trim_end_matches('\n'), code);
    let mut qrencode = program("qrencode", "qrencode");
    let drawn = qrencode.args(["--level=M", "--size=4", "--output", &theirs, code]).status();
    assert!(drawn.unwrap().success());
    let merchant = world.path("merchant");
    tally(&["merchant", "verify", "--data", &merchant, "--image", &theirs]);
    refused(
        &["merchant", "verify", "--data", &merchant, "--image", &world.path("network.toml")],
        "image_unreadable",
    );
}

//! The client against servers that answer, refuse, break off, say nonsense or say nothing.

#![expect(clippy::unwrap_used, reason = "a test may fail so")]

use std::sync::{Arc, Mutex};

use tallystick_api::NodeClient;
use tallystick_api::client::Repeat;
use tallystick_api::issuer::Empty;
use tallystick_api::{Client, Page, Problem, json};
use tallystick_kernel::{DurationMs, Reason};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with one connection.
#[derive(Clone)]
enum Then {
    /// Sends a whole answer and closes.
    Answer(u16, String),
    /// Closes without a word.
    BreakOff,
    /// Keeps silent.
    Silence,
}

/// A server that plays `script`, its last act for all further connections; gives its address and
/// the requests that came.
async fn server(script: Vec<Then>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        for number in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let act = script[number.min(script.len() - 1)].clone();
            let request = read_request(&mut stream).await;
            seen.lock().unwrap().push(request);
            match act {
                Then::Answer(status, body) => {
                    let length = body.len();
                    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n");
                    let answer = format!("{head}Connection: close\r\n\r\n{body}");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
                Then::BreakOff => drop(stream),
                Then::Silence => {
                    tokio::spawn(async move {
                        let _held = stream;
                        core::future::pending::<()>().await;
                    });
                }
            }
        }
    });
    (url, requests)
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = vec![0; 4096];
    let length = stream.read(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

fn refusal(reason: Reason) -> Then {
    let problem = Problem::new(reason).detail("here");
    Then::Answer(problem.status, String::from_utf8(json::write(&problem)).unwrap())
}

fn fine() -> Then {
    Then::Answer(200, r#"{"items":[1,2]}"#.to_owned())
}

async fn get(url: &str) -> Result<Page<u64>, tallystick_api::ApiError> {
    Client::new(url).unwrap().get("/v1/list?secret=1").await
}

#[tokio::test]
async fn a_party_that_is_not_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = get(&url).await.unwrap_err();
    assert_eq!(error.reason, Reason::Unreachable);
    assert!(error.is_transport());
    assert_eq!(error.call, format!("GET {url}/v1/list"));
}

#[tokio::test]
async fn a_party_that_keeps_silent_is_given_up_at_the_deadline() {
    let (url, requests) = server(vec![Then::Silence]).await;
    let client = Client::new(&url).unwrap().with_deadline(DurationMs(200));
    let error = client.get::<Empty>("/").await.unwrap_err();
    assert_eq!(error.reason, Reason::Timeout);
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_malformed() {
    for act in [Then::Answer(200, "nonsense".to_owned()), Then::Answer(404, "<html>".to_owned())] {
        let (url, _) = server(vec![act]).await;
        assert_eq!(get(&url).await.unwrap_err().reason, Reason::AnswerMalformed);
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_the_other_partys_words_and_not_repeated() {
    let (url, requests) = server(vec![refusal(Reason::ClaimTaken)]).await;
    let error = get(&url).await.unwrap_err();
    assert_eq!(error.reason, Reason::ClaimTaken);
    assert_eq!(error.problem.unwrap().detail.as_deref(), Some("here"));
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_read_is_repeated_until_the_party_is_ready() {
    let (url, requests) = server(vec![Then::BreakOff, refusal(Reason::NotReady), fine()]).await;
    assert_eq!(get(&url).await.unwrap().items, [1, 2]);
    assert_eq!(requests.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_write_is_repeated_with_its_key_and_never_without_one() {
    let (url, requests) = server(vec![Then::BreakOff, Then::Answer(200, "{}".to_owned())]).await;
    let client = Client::new(&url).unwrap();
    let done: Result<Empty, _> = client.post("/v1/things", &Empty {}, Repeat::Key("k1")).await;
    assert!(done.is_ok());
    let with_key = |request: &&String| request.contains("idempotency-key: k1");
    assert_eq!(requests.lock().unwrap().iter().filter(with_key).count(), 2);

    let (url, requests) = server(vec![Then::BreakOff, fine()]).await;
    let client = Client::new(&url).unwrap();
    let done: Result<Empty, _> = client.post("/v1/things", &Empty {}, Repeat::Never).await;
    assert_eq!(done.unwrap_err().reason, Reason::Unreachable);
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn repetition_is_bounded() {
    let (url, requests) = server(vec![refusal(Reason::NotReady)]).await;
    assert_eq!(get(&url).await.unwrap_err().reason, Reason::NotReady);
    assert_eq!(requests.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn another_node_is_asked_when_the_first_hangs_and_from_then_on_first() {
    let (silent, unheard) = server(vec![Then::Silence]).await;
    let (there, _) = server(vec![refusal(Reason::NotFound)]).await;
    let nodes = NodeClient::new(&[silent, there]).unwrap().with_deadline(DurationMs(1000));
    for height in 0..3 {
        assert_eq!(nodes.block(height).await.unwrap_err().reason, Reason::NotFound);
    }
    assert_eq!(unheard.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_network_whose_nodes_are_all_away_is_unreachable() {
    let mut urls = Vec::new();
    for _ in 0..2 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        urls.push(format!("http://{}", listener.local_addr().unwrap()));
    }
    let nodes = NodeClient::new(&urls).unwrap();
    assert_eq!(nodes.network().await.unwrap_err().reason, Reason::Unreachable);
    assert_eq!(NodeClient::new::<&str>(&[]).err(), Some(Reason::ListEmpty));
}

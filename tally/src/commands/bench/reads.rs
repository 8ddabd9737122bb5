//! `tally bench reads`: a cheap read of a node against a bare axum handler that answers the same
//! bytes, in the same run.
//!
//! Both servers run in processes of their own with the same number of threads, and are asked in turns
//! by the same client over kept connections. Connections come from many loopback addresses, because a
//! node counts requests by address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use clap::Args;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tallystick_kernel::Reason;
use tokio::net::{TcpListener, TcpSocket};

use crate::commands::block_on;
use crate::failure::Failure;
use crate::output::Output;
use crate::up::FOLDER;
use crate::up::published::RunningNetwork;

/// `tally bench reads`.
#[derive(Debug, Args)]
pub struct ReadsArgs {
    /// The folder of the running network, which is on this machine.
    #[arg(long, value_name = "DIR", default_value = FOLDER)]
    data: PathBuf,
    /// Connections that ask at the same time.
    #[arg(long, value_name = "N", default_value_t = 32,
        value_parser = clap::value_parser!(u16).range(1..=250))]
    connections: u16,
    /// Rounds; in each, both servers are asked in turn.
    #[arg(long, value_name = "N", default_value_t = 5,
        value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// How long each server is asked in a round.
    #[arg(long, value_name = "N", default_value_t = 2,
        value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
}

/// The other side of the comparison: answers one path with one text until standard input ends.
#[derive(Debug, Args)]
pub struct BareArgs {
    /// What it answers.
    #[arg(long)]
    answer: String,
}

#[derive(Debug, Serialize)]
struct Shown {
    path: &'static str,
    answer_bytes: usize,
    connections: u16,
    rounds: Vec<Round>,
    node_per_second: f64,
    bare_per_second: f64,
    /// Of the medians.
    ratio: f64,
    cores: usize,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Round {
    node_per_second: f64,
    bare_per_second: f64,
}

/// Runs the workload.
pub fn run(args: &ReadsArgs, output: Output) -> Result<(), Failure> {
    let network = RunningNetwork::read(&args.data)?;
    let node = network.roles.iter().find(|role| role.role.starts_with("node-"));
    let node = node.and_then(|role| role.address.as_deref()?.parse::<SocketAddr>().ok());
    let node = node.ok_or_else(|| Failure::new(Reason::NotFound).cause("no node is running"))?;
    block_on(async {
        let mut first = connect(node, 0).await?;
        let answer = ask(&mut first, node).await?;
        let answer_bytes = answer.len();
        let bare = Bare::start(&answer)?;
        let mut rounds = Vec::new();
        for round in 0..args.rounds {
            let node_per_second = load(node, args).await?;
            let bare_per_second = load(bare.address, args).await?;
            let said = format!("{node_per_second:.0} against {bare_per_second:.0} a second");
            output.progress(&format!("round {}: {said}", round + 1));
            rounds.push(Round { node_per_second, bare_per_second });
        }
        let of_node = median(rounds.iter().map(|round| round.node_per_second));
        let of_bare = median(rounds.iter().map(|round| round.bare_per_second));
        let shown = Shown {
            path: PATH,
            answer_bytes,
            connections: args.connections,
            rounds,
            node_per_second: of_node,
            bare_per_second: of_bare,
            ratio: of_node / of_bare,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        };
        output.show(&shown, text);
        Ok(())
    })
}

/// Serves the bare handler; its address goes to standard output.
pub fn serve_bare(args: &BareArgs) -> Result<(), Failure> {
    let answer = Bytes::from(args.answer.clone());
    // As many threads as a role's server has.
    let runtime = crate::roles::runtime()?;
    runtime.block_on(async {
        let failed =
            |error: std::io::Error| Failure::new(Reason::Internal).cause(error.to_string());
        let json = [("content-type", "application/json")];
        let router = Router::new().route(PATH, get(async move || (json, answer.clone())));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        println!("{}", listener.local_addr().map_err(failed)?);
        let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
        tokio::select! {
            served = axum::serve(listener, router) => served.map_err(failed),
            _ = ended => Ok(()),
        }
    })
}

/// The process of the bare handler; it ends with this value.
struct Bare {
    address: SocketAddr,
    child: Child,
}

impl Bare {
    fn start(answer: &[u8]) -> Result<Bare, Failure> {
        let failed =
            |error: std::io::Error| Failure::new(Reason::Internal).cause(error.to_string());
        let answer = String::from_utf8_lossy(answer);
        let mut child = Command::new(std::env::current_exe().map_err(failed)?)
            .args(["bench", "bare", "--answer", &*answer])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let mut line = String::new();
        if let Some(said) = child.stdout.take() {
            std::io::BufRead::read_line(&mut std::io::BufReader::new(said), &mut line)
                .map_err(failed)?;
        }
        let address = line.trim().parse();
        let bare = Bare { address: address.unwrap_or(([0, 0, 0, 0], 0).into()), child };
        match bare.address.port() {
            0 => Err(Failure::new(Reason::Internal).cause("the bare server did not start")),
            _ => Ok(bare),
        }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Answers a second that a server gave to all connections.
async fn load(server: SocketAddr, args: &ReadsArgs) -> Result<f64, Failure> {
    let mut connections = Vec::new();
    for place in 0..args.connections {
        connections.push(connect(server, place).await?);
    }
    let (begun, length) = (Instant::now(), Duration::from_secs(args.seconds));
    let tasks: Vec<_> = connections
        .into_iter()
        .map(|mut connection| {
            tokio::spawn(async move {
                let mut answers = 0_u64;
                while begun.elapsed() < length {
                    ask(&mut connection, server).await?;
                    answers += 1;
                }
                Ok::<u64, Failure>(answers)
            })
        })
        .collect();
    let mut answers = 0;
    for task in tasks {
        answers += task.await.map_err(|_| Reason::Internal)??;
    }
    Ok(answers as f64 / begun.elapsed().as_secs_f64())
}

/// A connection from a loopback address of its own.
async fn connect(server: SocketAddr, place: u16) -> Result<SendRequest<Empty<Bytes>>, Failure> {
    let away = |cause: String| Failure::new(Reason::Unreachable).cause(cause);
    let [high, low] = (place + 2).to_be_bytes();
    let own = IpAddr::from([127, 0, high + 1, low]);
    let socket = TcpSocket::new_v4().map_err(|error| away(error.to_string()))?;
    socket.bind(SocketAddr::new(own, 0)).map_err(|error| away(error.to_string()))?;
    let stream = socket.connect(server).await;
    let stream = stream.map_err(|error| away(format!("{server} from {own}: {error}")))?;
    stream.set_nodelay(true).map_err(|error| away(error.to_string()))?;
    let (sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|error| away(error.to_string()))?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn ask(
    connection: &mut SendRequest<Empty<Bytes>>,
    server: SocketAddr,
) -> Result<Bytes, Failure> {
    let away = |error: hyper::Error| Failure::new(Reason::Unreachable).cause(error.to_string());
    let request = Request::get(PATH).header("host", server.to_string()).body(Empty::new());
    let request = request.map_err(|_| Reason::Internal)?;
    connection.ready().await.map_err(away)?;
    let answer = connection.send_request(request).await.map_err(away)?;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(away)?.to_bytes();
    match status {
        StatusCode::OK => Ok(body),
        _ => Err(Failure::new(Reason::AnswerMalformed).cause(format!("{server} answers {status}"))),
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

fn text(shown: &Shown) -> String {
    let Shown { path, answer_bytes, connections, cores, rounds, .. } = shown;
    let (node, bare, ratio) = (shown.node_per_second, shown.bare_per_second, shown.ratio);
    let rounds = rounds.len();
    format!(
        "GET {path}, {answer_bytes} bytes, {connections} connections, {cores} cores\n\
         node          {node:>9.0} a second\n\
         bare handler  {bare:>9.0} a second\n\
         ratio         {ratio:>9.2} of the medians of {rounds} rounds\n"
    )
}

const PATH: &str = "/v1/network";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
    }
}

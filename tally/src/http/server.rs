//! The HTTP server: bind, serve with limits, stop in order.
//!
//! Invariants: one address never holds all connections; a connection whose client does not read
//! what it asked for is closed; who comes when there is no room is turned away at once.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use axum::middleware::from_fn;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tallystick_kernel::Reason;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt as _;
use tower_http::catch_panic::CatchPanicLayer;

use super::access::ClientAddress;
use super::problem::Refusal;
use super::request_id;
use crate::failure::Failure;
use crate::port_holder;

/// Listens on `address`.
///
/// Fails with [`Reason::AddressInUse`] naming the process that has the port where that can be
/// found out, else with [`Reason::FileUnreadable`].
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| explain(address, &error))
}

/// What a failure to listen means.
pub fn explain(address: SocketAddr, error: &std::io::Error) -> Failure {
    if error.kind() != std::io::ErrorKind::AddrInUse {
        return Failure::new(Reason::FileUnreadable).cause(format!("listen on {address}: {error}"));
    }
    let holder = match port_holder::find(address.port()) {
        Some(holder) => format!("{address} is taken by process {} ({})", holder.pid, holder.name),
        None => format!("{address} is taken by another process"),
    };
    Failure::new(Reason::AddressInUse)
        .cause(holder)
        .next_step("stop that process, or choose other ports with --listen HOST:PORT")
}

/// Serves until `stop` is ready, then lets open requests finish for up to five seconds.
pub async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let router = router
        .layer(CatchPanicLayer::custom(|_| {
            // The panic's message went to the log by its hook; the client learns the request id.
            axum::response::IntoResponse::into_response(Refusal::from(Reason::Internal))
        }))
        .layer(from_fn(request_id::layer));
    let graceful = GracefulShutdown::new();
    let connections = Connections::default();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of file descriptors or the like: give others time to close theirs.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Dropping the stream closes it.
        let Some(place) = connections.take(peer.ip()) else { continue };
        let connection = connection(stream, peer, router.clone());
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            // A connection that breaks is the client's business.
            let _ = watched.await;
            drop(place);
        });
    }
    drop(listener);
    STOPPING.send_replace(true);
    let _ = tokio::time::timeout(STOP_TIME_MAX, graceful.shutdown()).await;
}

/// Becomes true when the role begins to stop: what goes on by itself must end then.
pub fn stopping() -> watch::Receiver<bool> {
    STOPPING.subscribe()
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    // Small answers must not wait for more.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIME_MAX));
    let service = router.map_request(move |request: Request<Incoming>| {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ClientAddress(peer.ip()));
        request
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(service))
}

/// Ready when the process is asked to stop (SIGTERM or SIGINT).
pub async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (terminate, interrupt) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    match (terminate, interrupt) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        // Without handlers the signals end the process by themselves.
        _ => core::future::pending().await,
    }
}

/// One process is one role.
static STOPPING: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));

/// Who is connected, by address.
#[derive(Clone, Default)]
struct Connections(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection's place; left when it is dropped.
struct Place {
    connections: Connections,
    address: IpAddr,
}

impl Connections {
    /// A place for a connection, if there is one.
    fn take(&self, address: IpAddr) -> Option<Place> {
        let address_max = match address.to_canonical().is_loopback() {
            true => LOOPBACK_CONNECTIONS_MAX,
            false => ADDRESS_CONNECTIONS_MAX,
        };
        let address = ClientAddress(address).counted_as();
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = open.get(&address).copied().unwrap_or(0);
        if of_address >= address_max || open.values().sum::<usize>() >= CONNECTIONS_MAX {
            return None;
        }
        open.insert(address, of_address + 1);
        Some(Place { connections: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.0.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(&self.address)),
        }
    }
}

const CONNECTIONS_MAX: usize = 1024;
/// A sixteenth of them, for one address or one IPv6 network of a site.
const ADDRESS_CONNECTIONS_MAX: usize = CONNECTIONS_MAX / 16;
/// Half of them: on one machine live all of a network's roles, its wallets and its tills.
const LOOPBACK_CONNECTIONS_MAX: usize = CONNECTIONS_MAX / 2;
/// A client that reads nothing for so long is gone.
const WRITE_TIME_MAX: Duration = Duration::from_secs(20);
const HEADERS_MAX: usize = 64;
const HEADER_TIME_MAX: Duration = Duration::from_secs(10);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const STOP_TIME_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn one_address_never_takes_all_places_and_leaves_what_it_had() {
        let site = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 7, 0, 0, 0, last]);
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let elsewhere = IpAddr::from([192, 0, 2, 1]);
        for (held_by, most) in [
            ([elsewhere; 2], ADDRESS_CONNECTIONS_MAX),
            ([site(1), site(2)], ADDRESS_CONNECTIONS_MAX),
            ([loopback; 2], LOOPBACK_CONNECTIONS_MAX),
            ([IpAddr::from(Ipv6Addr::LOCALHOST); 2], LOOPBACK_CONNECTIONS_MAX),
        ] {
            let connections = Connections::default();
            let take = |address| connections.take(address);
            let from = held_by.iter().cycle().take(CONNECTIONS_MAX);
            let held: Vec<Place> = from.filter_map(|address| take(*address)).collect();
            assert_eq!(held.len(), most);
            assert!(take(IpAddr::from([192, 0, 2, 2])).is_some());
            drop(held);
            assert!(take(held_by[0]).is_some());
            assert!(connections.0.lock().unwrap().is_empty());
        }
    }

    #[test]
    fn it_takes_more_than_a_few_addresses_to_hold_all_places() {
        let connections = Connections::default();
        let held: Vec<Place> = (0..15)
            .flat_map(|last| [IpAddr::from([192, 0, 2, last]); CONNECTIONS_MAX])
            .filter_map(|address| connections.take(address))
            .collect();
        assert_eq!(held.len(), 15 * ADDRESS_CONNECTIONS_MAX);
        assert!(connections.take(IpAddr::from([192, 0, 2, 99])).is_some());
    }
}

//! A network of namespaces: each with one link for requests and one for its peers, which can be
//! cut. Needs root and `ip` (Debian's `iproute2`).

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// The port of everything in a namespace: each has addresses of its own.
const PORT: u16 = 7000;

static MADE: AtomicU32 = AtomicU32::new(0);

/// Namespaces on bridges; removed when dropped.
pub struct Namespaces {
    /// Begins every name, so that two tests do not meet.
    name: String,
    /// The second and third byte of the addresses.
    subnet: (u8, u8),
    count: usize,
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.expect("`ip` is missing: install Debian's iproute2");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {said} (network namespaces need root)");
}

impl Namespaces {
    /// Makes so many, all connected.
    pub fn new(count: usize) -> Namespaces {
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let number = (std::process::id() % 10_000) * 4 + made % 4;
        let [_, _, high, low] = number.to_be_bytes();
        let all =
            Namespaces { name: format!("t{number}"), subnet: (128 | (high % 128), low), count };
        // The peers meet in a namespace too, where no packet filter of the machine looks at them.
        ip(&format!("netns add {}", all.meeting()));
        for bridge in ["p", "q"] {
            ip(&format!("-n {} link add {bridge} type bridge", all.meeting()));
            ip(&format!("-n {} link set {bridge} up", all.meeting()));
        }
        ip(&format!("link add {}r type bridge", all.name));
        ip(&format!("link set {}r up", all.name));
        ip(&format!("addr add {}/25 dev {}r", all.address(126), all.name));
        for place in 0..count {
            let namespace = all.namespace(place);
            ip(&format!("netns add {namespace}"));
            ip(&format!("-n {namespace} link set lo up"));
            let outer = format!("{}r{place}", all.name);
            ip(&format!("link add {outer} type veth peer name r netns {namespace}"));
            ip(&format!("link set {outer} master {}r up", all.name));
            let meeting = all.meeting();
            ip(&format!("-n {meeting} link add p{place} type veth peer name p netns {namespace}"));
            ip(&format!("-n {meeting} link set p{place} master p up"));
            for (link, address) in [("r", host(place)), ("p", 128 | host(place))] {
                let address = all.address(address);
                ip(&format!("-n {namespace} addr add {address}/25 dev {link}"));
                ip(&format!("-n {namespace} link set {link} up"));
            }
        }
        all
    }

    /// The namespace in which the links of the peers end.
    fn meeting(&self) -> String {
        format!("{}m", self.name)
    }

    fn address(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, self.subnet.0, self.subnet.1, host)
    }

    fn namespace(&self, place: usize) -> String {
        format!("{}n{place}", self.name)
    }

    /// Their names, in order.
    pub fn names(&self) -> Vec<String> {
        (0..self.count).map(|place| self.namespace(place)).collect()
    }

    /// Where each serves requests.
    pub fn requests(&self) -> Vec<SocketAddr> {
        (0..self.count).map(|place| (self.address(host(place)), PORT).into()).collect()
    }

    /// Where each listens for its peers.
    pub fn peers(&self) -> Vec<SocketAddr> {
        (0..self.count).map(|place| (self.address(128 | host(place)), PORT + 1).into()).collect()
    }

    /// Cuts these off from the others: they reach each other, and nobody else.
    pub fn cut_off(&self, places: &[usize]) {
        for place in places {
            ip(&format!("-n {} link set p{place} master q", self.meeting()));
        }
    }

    /// Connects all again.
    pub fn heal(&self) {
        for place in 0..self.count {
            ip(&format!("-n {} link set p{place} master p", self.meeting()));
        }
    }
}

/// The last byte of a place's addresses, without the bit that tells its two links apart.
fn host(place: usize) -> u8 {
    u8::try_from(place + 1).unwrap()
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        // What is left of a namespace's links goes with it.
        let ended = |arguments: String| {
            let _ = Command::new("ip").args(arguments.split(' ')).output();
        };
        for place in 0..self.count {
            ended(format!("netns del {}", self.namespace(place)));
        }
        ended(format!("netns del {}", self.meeting()));
        ended(format!("link del {}r", self.name));
    }
}

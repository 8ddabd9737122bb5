//! The ports that the network takes: free, held by the network itself, or by someone else.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use tallystick_kernel::Reason;

use super::Subject;
use super::finding::Finding;
use crate::http::server;
use crate::port_holder;
use crate::up::BASE_PORT;
use crate::up::founding::FAULT_TOLERANT;
use crate::up::plan::Shape;

const CHECK: &str = "ports";

/// Looks at every port.
pub fn look(subject: &Subject) -> Vec<Finding> {
    let planned = Shape {
        validators: FAULT_TOLERANT,
        host: IpAddr::V4(Ipv4Addr::LOCALHOST),
        base_port: BASE_PORT,
    };
    let shape = subject.shape.as_ref().unwrap_or(&planned);
    let (mut findings, mut held, mut free) = (Vec::new(), 0_usize, 0_usize);
    let mut foreign = Vec::new();
    for (role, address) in shape.addresses() {
        let holder = port_holder::find(address.port()).map(|holder| holder.pid);
        match (subject.running.is_some(), TcpListener::bind(address)) {
            (false, Ok(_)) => free += 1,
            (true, Ok(_)) => findings.push(deserted(&role, address)),
            (true, Err(_)) if holder.is_some() && holder == pid_of(subject, &role) => held += 1,
            (_, Err(error)) => foreign.push(taken(&role, address, &error)),
        }
    }
    match foreign.len() {
        count if count > 1 && subject.shape.is_none() => findings.push(many(count, &foreign)),
        _ => findings.extend(foreign),
    }
    let first = SocketAddr::new(shape.host, shape.base_port);
    if held > 0 {
        let says = format!("{held} from {first} on are held by this network");
        findings.insert(0, Finding::ok(CHECK, says));
    }
    if free > 0 {
        let says = format!("{free} from {first} on are free for tally up");
        findings.insert(0, Finding::ok(CHECK, says));
    }
    findings
}

/// One finding for many ports that would be taken: most likely another network has them all.
fn many(count: usize, taken: &[Finding]) -> Finding {
    let first = taken.first().map_or("", |finding| finding.says.as_str());
    let says =
        format!("{count} ports that a network here would take are taken; the first: {first}");
    let next = "name the folder of the network that runs there with --data DIR, or begin another \
                with tally up --listen HOST:PORT";
    Finding::failed(CHECK, Reason::AddressInUse, says, next)
}

fn pid_of(subject: &Subject, role: &str) -> Option<u32> {
    let mut roles = subject.running.iter().flat_map(|running| &running.roles);
    roles.find(|running| running.role == role).and_then(|running| running.pid)
}

fn deserted(role: &str, address: SocketAddr) -> Finding {
    let says = format!("{address} is free, though {role} should listen there");
    Finding::failed(CHECK, Reason::NotReady, says, format!("read the log of {role}"))
}

fn taken(role: &str, address: SocketAddr, error: &std::io::Error) -> Finding {
    let failure = server::explain(address, error).cause(format!("it is for {role}"));
    Finding::failure(CHECK, &failure)
}

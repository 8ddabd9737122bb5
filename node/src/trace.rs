//! temp
use std::time::Instant;
use std::sync::OnceLock;
static BEGAN: OnceLock<Instant> = OnceLock::new();
/// temp
pub fn note(what: &str, from: Instant, to: Instant) {
    let began = *BEGAN.get_or_init(Instant::now);
    if std::env::var_os("TRACE").is_some() {
        let at = from.saturating_duration_since(began).as_secs_f64() * 1000.0;
        eprintln!("T {at:.1} {:.2} {what} {:?}", (to - from).as_secs_f64() * 1000.0, std::thread::current().id());
    }
}

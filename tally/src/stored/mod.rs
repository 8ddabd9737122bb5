//! What the HTTP layer keeps in a party's store: sessions, things that serve once, answers.

mod answers;
pub mod latest;
mod replays;
mod sessions;
pub mod sweeping;

pub use answers::StoredAnswers;
pub use replays::StoredReplays;
pub use sessions::StoredSessions;

//! How the process ends: one closed list of exit codes.

use std::process::ExitCode;

/// What an exit code says. A number, once given, keeps its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was done.
    Done,
    /// It was refused, or a check failed: asking again will not help.
    Refused,
    /// The command line or a variable of the environment is wrong; nothing was done.
    Usage,
    /// Another party cannot be reached, is not ready or does not answer: asking again may help.
    Away,
    /// Something on this machine is in the way: files, ports, disk.
    Machine,
}

impl Exit {
    /// Every code, in the order of their numbers.
    pub const ALL: [Exit; 5] = [Exit::Done, Exit::Refused, Exit::Usage, Exit::Away, Exit::Machine];

    /// The number.
    pub const fn number(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Refused => 1,
            Exit::Usage => 2,
            Exit::Away => 3,
            Exit::Machine => 4,
        }
    }

    /// What it says, for people.
    pub const fn says(self) -> &'static str {
        match self {
            Exit::Done => "done",
            Exit::Refused => "refused, or a check failed; asking again will not help",
            Exit::Usage => "wrong usage: the command line or a variable of the environment",
            Exit::Away => "another party cannot be reached, is not ready or does not answer",
            Exit::Machine => "something on this machine is in the way: files, ports, disk",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.number())
    }
}

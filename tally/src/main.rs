//! The `tally` binary: reads the command line and hands it to the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    let code = tallystick_tally::cli::main();
    tallystick_tally::telemetry::end();
    code
}

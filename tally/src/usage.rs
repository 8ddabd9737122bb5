//! What is said to a command line that is not understood, and to one that asks for help.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use serde::Serialize;
use tallystick_kernel::Reason;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Format, Output};

/// Help, or the version, as `--output json` shows it.
#[derive(Serialize)]
struct Asked {
    text: String,
}

/// Answers instead of a command: with help on standard output, or with a failure.
pub fn answer(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let environment = std::env::var(OUTPUT_VARIABLE).ok();
    let output = Output { format: format_of(arguments, environment.as_deref()) };
    let is_asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    match (output.format, is_asked) {
        // In text clap says it best, in colour where that is right.
        (Format::Text, _) => drop(error.print()),
        (Format::Json, true) => output.show(&Asked { text: rendered(error) }, |_| String::new()),
        (Format::Json, false) => output.fail(&failure(error)),
    }
    if is_asked { Exit::Done.into() } else { Exit::Usage.into() }
}

/// The failure that a wrong command line is.
fn failure(error: &clap::Error) -> Failure {
    let failure = Failure::new(Reason::UsageWrong);
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return failure
            .cause("a command is missing")
            .next_step("name one; tally --help lists them");
    }
    let text = rendered(error);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let usage = lines.clone().find_map(|line| line.strip_prefix("Usage: "));
    let causes = lines.by_ref().take_while(|line| !line.starts_with("Usage: "));
    let is_hint = |line: &str| line.starts_with("For more information");
    let causes =
        causes.filter(|line| !is_hint(line)).map(|line| line.trim_start_matches("error: "));
    let failure = causes.fold(failure, |failure, cause| failure.cause(cause));
    failure.next_step(match usage {
        Some(usage) => format!("type {usage}"),
        None => "read the command's --help".to_owned(),
    })
}

fn rendered(error: &clap::Error) -> String {
    // Its Display has no colour.
    error.render().to_string()
}

/// The form that was asked for, found without understanding the rest: the flag, then the variable.
fn format_of(arguments: &[OsString], environment: Option<&str>) -> Format {
    let texts = || arguments.iter().filter_map(|argument| argument.to_str());
    let flags = texts().take_while(|text| *text != "--");
    let after = flags.clone().zip(flags.clone().skip(1));
    let apart = after.filter(|(flag, _)| *flag == "--output").map(|(_, value)| value);
    let joined = flags.filter_map(|text| text.strip_prefix("--output="));
    let chosen = apart.chain(joined).last().or(environment);
    if chosen == Some("json") { Format::Json } else { Format::Text }
}

/// The variable that stands for `--output`.
pub const OUTPUT_VARIABLE: &str = "TALLY_OUTPUT";

#[cfg(test)]
mod tests {
    use super::*;

    fn format(arguments: &[&str], environment: Option<&str>) -> Format {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        format_of(&arguments, environment)
    }

    #[test]
    fn the_form_is_found_in_a_line_that_is_not_understood_and_the_flag_wins() {
        assert_eq!(format(&["up", "--nonsense", "--output", "json"], None), Format::Json);
        assert_eq!(format(&["--output=json", "nonsense"], None), Format::Json);
        assert_eq!(format(&["nonsense"], Some("json")), Format::Json);
        assert_eq!(format(&["nonsense", "--output", "text"], Some("json")), Format::Text);
        assert_eq!(format(&["nonsense", "--", "--output=json"], None), Format::Text);
        assert_eq!(format(&["nonsense"], None), Format::Text);
    }
}

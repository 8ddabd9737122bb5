//! The manual beside the code: commands, exit codes, variables, files and their modes.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clap::{Arg, Command};
use tallystick_tally::config::Config;
use tallystick_tally::exit::Exit;
use tallystick_tally::roles::issuer::config::IssuerConfig;
use tallystick_tally::roles::merchant::MerchantConfig;
use tallystick_tally::roles::node::NodeConfig;
use tallystick_tally::roles::provisioner::config_file::ProvisionerConfig;

use crate::network::Network;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/manual.md");
const MARK: &str = "`the_manual_says_what_the_command_line_says`. -->\n";

fn manual() -> String {
    std::fs::read_to_string(PATH).unwrap()
}

/// Every command that runs something, with its whole name.
fn runnable(command: &Command, above: &str, found: &mut Vec<(String, Command)>) {
    let name = format!("{above}{}", command.get_name());
    let has_none_below = command.get_subcommands().next().is_none();
    if has_none_below || !command.is_subcommand_required_set() && !above.is_empty() {
        found.push((name.clone(), command.clone()));
    }
    let shown = command.get_subcommands().filter(|below| !below.is_hide_set());
    shown.for_each(|below| runnable(below, &format!("{name} "), found));
}

fn commands() -> Vec<(String, Command)> {
    let mut found = Vec::new();
    runnable(&tallystick_tally::cli::command_line(), "", &mut found);
    found
}

fn argument(argument: &Arg) -> String {
    let value = argument.get_value_names().map(|names| names[0].to_string());
    let value = value.filter(|_| argument.get_action().takes_values());
    let name = match (argument.get_long(), value) {
        (Some(long), Some(value)) => format!("--{long} {value}"),
        (Some(long), None) => format!("--{long}"),
        (None, value) => value.unwrap_or_else(|| argument.get_id().to_string().to_uppercase()),
    };
    let mut says = format!("{}.", argument.get_help().unwrap());
    let defaults = argument.get_default_values().iter().map(|value| value.to_string_lossy());
    let defaults: Vec<_> = defaults.filter(|value| !value.is_empty()).collect();
    if argument.get_action().takes_values() && !defaults.is_empty() {
        says.push_str(&format!(" Default: `{}`.", defaults.join(" ")));
    }
    if let Some(variable) = argument.get_env() {
        says.push_str(&format!(" Variable: `{}`.", variable.to_string_lossy()));
    }
    format!("- `{name}`: {says}\n")
}

/// The part of the manual that follows from the command line.
fn written() -> String {
    let mut text = String::new();
    for (name, command) in commands() {
        let about = command.get_about().unwrap();
        text.push_str(&format!("\n### `{name}`\n{about}.\n\n"));
        let example = command.get_after_help().unwrap().to_string();
        let lines = example.lines().skip(1).map(str::trim);
        text.push_str(&format!("```sh\n{}\n```\n\n", lines.collect::<Vec<_>>().join("\n")));
        let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
        text.extend(arguments.map(self::argument));
    }
    text
}

#[test]
fn the_manual_says_what_the_command_line_says() {
    let manual = manual();
    let (before, after) = manual.split_once(MARK).unwrap();
    let written = written();
    if std::env::var_os("TALLYSTICK_WRITE").is_some() {
        std::fs::write(PATH, format!("{before}{MARK}{written}")).unwrap();
        return;
    }
    assert!(commands().len() > 20);
    assert_eq!(after, written, "write it anew with TALLYSTICK_WRITE=1");
}

#[test]
fn the_manual_names_every_exit_code_and_no_other() {
    let manual = manual();
    let section = manual.split("## Exit codes\n").nth(1).unwrap();
    let rows = section.lines().take_while(|line| line.starts_with('|')).skip(2);
    let expected = Exit::ALL.map(|exit| format!("| {} | {} |", exit.number(), exit.says()));
    assert_eq!(rows.collect::<Vec<_>>(), expected);
}

#[test]
fn the_manual_names_every_variable_of_the_environment_and_no_other() {
    let mut expected: BTreeSet<String> =
        ["TALLY_LOG", "TALLY_OUTPUT", "NO_COLOR"].map(str::to_owned).into();
    for (_, command) in commands() {
        let variables = command.get_arguments().filter_map(Arg::get_env);
        expected.extend(variables.map(|variable| variable.to_string_lossy().into_owned()));
    }
    let keys = [
        NodeConfig::ENVIRONMENT_KEYS,
        IssuerConfig::ENVIRONMENT_KEYS,
        MerchantConfig::ENVIRONMENT_KEYS,
        ProvisionerConfig::ENVIRONMENT_KEYS,
    ];
    expected.extend(keys.concat().iter().map(|key| format!("TALLY_{}", key.to_uppercase())));
    let manual = manual();
    let section = manual.split("## Environment\n").nth(1).unwrap();
    let rows = section.lines().take_while(|line| line.starts_with('|')).skip(2);
    let named: BTreeSet<String> =
        rows.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect();
    assert_eq!(named, expected);
}

/// What the manual says of the modes of files, by name.
fn modes(manual: &str) -> Vec<(String, u32)> {
    let section = manual.split("## Files\n").nth(1).unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    let mut modes = Vec::new();
    for row in rows {
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let mode = u32::from_str_radix(columns[2], 8).unwrap();
        let names = columns[1].split(", ").map(|name| name.trim_matches('`'));
        modes.extend(names.map(|name| (name.to_owned(), mode)));
    }
    modes
}

/// The name under which the manual speaks of a path in a network's folder.
fn named(path: &Path, folder: &Path) -> String {
    let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
    match name.split_once('/') {
        Some((role, rest)) if path.is_dir() => format!("{}/{rest}/", role.replace("-0", "-N")),
        Some((_, rest)) if !rest.ends_with("operator.key") && !rest.ends_with("till.key") => {
            format!("ROLE/{rest}")
        }
        _ => name,
    }
}

#[test]
fn the_manual_names_every_file_of_a_network_with_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    let _network = Network::up(folder.path(), &["--listen", "127.0.0.1:0", "--validators", "1"]);
    let mut expected = modes(&manual());
    let listed = |folder: &Path| -> Vec<_> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let (folders, mut paths): (Vec<_>, Vec<_>) =
        listed(folder.path()).into_iter().partition(|path| path.is_dir());
    paths.extend(folders.iter().flat_map(|folder| listed(folder)));
    let mut seen = BTreeSet::new();
    for path in paths {
        let name = named(&path, folder.path());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert!(expected.contains(&(name.clone(), mode)), "{name} has mode {mode:04o}");
        seen.insert(name);
    }
    expected.retain(|(name, _)| !seen.contains(name));
    assert_eq!(expected, [], "not there");
}

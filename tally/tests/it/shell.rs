//! Completions and manual pages, judged by the programs that read them.

use std::process::Command;

use crate::network::run;
use crate::world::tally;

/// Every command with its subcommands, as the names of their pages.
fn names() -> Vec<String> {
    fn look(command: &clap::Command, above: &str, names: &mut Vec<String>) {
        let name = match above {
            "" => command.get_name().to_owned(),
            above => format!("{above}-{}", command.get_name()),
        };
        let shown = command.get_subcommands().filter(|below| !below.is_hide_set());
        shown.for_each(|below| look(below, &name, names));
        names.push(name);
    }
    let mut names = Vec::new();
    look(&tallystick_tally::cli::command_line(), "", &mut names);
    names
}

#[test]
fn the_completions_of_bash_are_understood_by_bash_and_complete_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("tally.bash");
    std::fs::write(&script, tally(&["completions", "bash"])).unwrap();
    let checked = Command::new("bash").arg("-n").arg(&script).output().unwrap();
    assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
    let complete = |words: &str| {
        let typed = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _tally tally \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; echo ${{COMPREPLY[*]}}",
            script.display()
        );
        let output = Command::new("bash").args(["-c", &typed]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("tally wal"), "wallet");
    assert_eq!(complete("tally wallet bal"), "balance");
    assert_eq!(complete("tally wallet code --fir"), "--first-contact");
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(tally(&["completions", shell]).contains("first-contact"), "{shell}");
    }
    assert_eq!(run(&["completions", "cmd"]).0, 2);
}

#[test]
fn every_command_has_a_manual_page_that_is_set_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let shown: serde_json::Value =
        serde_json::from_str(&tally(&["man", "--folder", data, "--output", "json"])).unwrap();
    let names = names();
    assert!(names.len() > 25, "{names:?}");
    assert_eq!(shown["pages"].as_array().unwrap().len(), names.len());
    for name in names {
        let file = folder.path().join(format!("{name}.1"));
        let page = std::fs::read_to_string(&file).unwrap();
        for part in [".TH ", ".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", ".SH OPTIONS"] {
            assert!(page.lines().any(|line| line.starts_with(part)), "{name} has no {part}");
        }
        let set = Command::new("groff").args(["-man", "-Tutf8", "-ww"]).arg(&file).output();
        let set = set.expect("groff of the package groff-base");
        let warnings = String::from_utf8_lossy(&set.stderr);
        assert!(set.status.success() && warnings.is_empty(), "{name}: {warnings}");
        let text = String::from_utf8_lossy(&set.stdout);
        assert!(
            text.contains(&name.replace('-', "\u{2010}")) || text.contains(&name),
            "{name}: {text}"
        );
    }
    assert!(tally(&["man"]).contains(".TH tally 1"));
}

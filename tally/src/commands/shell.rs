//! `tally completions` and `tally man`: what a shell and a reader of manuals want to know of `tally`.

use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use serde::Serialize;

use crate::data_folder::{create_private, write_atomically};
use crate::failure::Failure;
use crate::output::Output;

/// `tally completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// `tally man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write a page for every command here; without it, the first page is shown.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

#[derive(Serialize)]
struct Script {
    shell: String,
    script: String,
}

#[derive(Serialize)]
struct Page {
    page: String,
}

#[derive(Serialize)]
struct Pages {
    folder: String,
    pages: Vec<String>,
}

/// Runs `tally completions` for the command line `tally`.
pub fn completions(args: &CompletionsArgs, mut tally: Command, output: Output) {
    let mut script = Vec::new();
    let name = tally.get_name().to_owned();
    clap_complete::generate(args.shell, &mut tally, name, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let shown = Script { shell: args.shell.to_string(), script };
    output.show(&shown, |shown| shown.script.clone());
}

/// Runs `tally man` for the command line `tally`.
pub fn man(args: &ManArgs, tally: Command, output: Output) -> Result<(), Failure> {
    let mut tally = tally.disable_help_subcommand(true);
    tally.build();
    let Some(folder) = &args.folder else {
        let page = String::from_utf8_lossy(&page(&Man::new(tally))?).into_owned();
        output.show(&Page { page }, |shown| shown.page.clone());
        return Ok(());
    };
    create_private(folder)?;
    let mut pages = Vec::new();
    write_pages(&tally, folder, &mut pages)?;
    let shown = Pages { folder: folder.display().to_string(), pages };
    output.show(&shown, |shown| {
        let count = shown.pages.len();
        format!("{count} pages in {0}; read one with man -l {0}/tally.1", shown.folder)
    });
    Ok(())
}

/// Writes the page of a command and those of its subcommands; `written` takes their names.
fn write_pages(command: &Command, folder: &Path, written: &mut Vec<String>) -> Result<(), Failure> {
    let man = Man::new(command.clone());
    let name = man.get_filename();
    write_atomically(&folder.join(&name), &page(&man)?, 0o644)?;
    written.push(name);
    let mut subcommands = command.get_subcommands().filter(|command| !command.is_hide_set());
    subcommands.try_for_each(|command| write_pages(command, folder, written))
}

fn page(man: &Man) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    let rendered = man.render(&mut page);
    rendered.map_err(|error| Failure::file(Path::new("manual page"), &error))?;
    Ok(page)
}

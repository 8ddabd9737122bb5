//! Where the repository is, which files belong to it, and where cargo puts what it builds.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's root folder: as cargo says when it runs us, because a target folder that several
/// checkouts share may hold a binary that another one built.
pub fn root() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let own = own.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    own.parent().map(Path::to_path_buf).unwrap_or(own)
}

/// The files that are tracked, or new and not ignored, relative to the root; none when git fails,
/// which it says.
pub fn files(root: &Path) -> Vec<String> {
    let output = Command::new("git")
        // A checkout may belong to another user than the one who runs the gate.
        .args(["-c", &format!("safe.directory={}", root.display())])
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output();
    match output {
        Ok(output) => {
            print!("{}", String::from_utf8_lossy(&output.stderr));
            let names = String::from_utf8_lossy(&output.stdout).into_owned();
            names.split('\0').filter(|name| root.join(name).is_file()).map(str::to_owned).collect()
        }
        Err(error) => {
            println!("git: {error}");
            Vec::new()
        }
    }
}

/// The folder that cargo builds into, which the environment may have moved.
pub fn target(root: &Path) -> Result<PathBuf, String> {
    let metadata = cargo_metadata::MetadataCommand::new().current_dir(root).no_deps().exec();
    let metadata = metadata.map_err(|error| error.to_string())?;
    Ok(metadata.target_directory.into_std_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_repository_are_listed_and_its_target_is_not_among_them() {
        let files = files(&root());
        assert!(files.iter().any(|name| name == "xtask/src/repository.rs"));
        assert!(!files.iter().any(|name| name.starts_with("target/") || name.is_empty()));
        assert!(target(&root()).is_ok_and(|folder| folder.is_absolute()));
    }

    #[test]
    fn a_folder_that_is_no_repository_has_no_files() {
        assert_eq!(files(Path::new("/")), Vec::<String>::new());
    }
}

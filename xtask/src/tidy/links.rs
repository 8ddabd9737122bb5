//! Rules about the links of Markdown pages.

use std::path::Path;

use super::File;

/// Links to headings of the same page.
pub(super) fn within(file: &File<'_>) -> Vec<String> {
    if !file.is_markdown() {
        return Vec::new();
    }
    let headings: Vec<String> =
        file.text.lines().filter(|line| line.starts_with('#')).map(anchor).collect();
    let targets = targets(file.text).into_iter().filter_map(|target| target.strip_prefix('#'));
    let missing = targets.filter(|target| !headings.iter().any(|heading| heading == target));
    missing.map(|target| format!("no heading #{target}")).collect()
}

/// Links to files of the repository; `exists` is asked for paths relative to its root.
pub(super) fn to_files(file: &File<'_>, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    if !file.is_markdown() {
        return Vec::new();
    }
    let folder = Path::new(file.name).parent().unwrap_or(Path::new(""));
    let is_file = |target: &&str| {
        !target.starts_with('#') && !target.contains("://") && !target.starts_with("mailto:")
    };
    let missing = targets(file.text).into_iter().filter(is_file).filter(|target| {
        let path = target.split('#').next().unwrap_or_default();
        !exists(&folder.join(path))
    });
    missing.map(|target| format!("a link to {target}, which is not there")).collect()
}

/// What a heading is linked by.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    text.replace(|letter: char| !letter.is_alphanumeric() && letter != '-' && letter != '_', "")
}

/// The targets of `[text](target)`, without what is written as code.
fn targets(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    let after = prose.flat_map(|part| part.split("](").skip(1));
    after.filter_map(|rest| rest.split_once(')').map(|(target, _)| target)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::assert_rule;
    use super::*;

    #[test]
    fn a_link_within_a_page_needs_its_heading() {
        assert_rule(within, "a.md", "# A b\n[x](#a-c)", "# A b\n[x](#a-b)");
        assert_rule(within, "a.md", "[x](#a)", "```\n[x](#a)\n```");
    }

    #[test]
    fn links_to_files_are_followed_from_their_own_folder() {
        let file = File { name: "docs/a.md", text: "[b](b.md#x) [c](../c.md) [d](https://d)" };
        let there = |path: &Path| path == Path::new("docs/b.md");
        assert_eq!(to_files(&file, there), ["a link to ../c.md, which is not there"]);
    }
}

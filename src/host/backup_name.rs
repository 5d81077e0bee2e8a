//! File names that editors and package managers use for files that nothing reads.

/// Whether a file has the name of a backup: of an editor, dpkg(1) or rpm(8).
pub fn is_backup_name(name: &str) -> bool {
    let ends = [
        "~", ".rpmsave", ".rpmorig", ".rpmnew", ".pacnew", ".pacsave",
    ];
    name.starts_with(['.', '#'])
        || ends.iter().any(|end| name.ends_with(end))
        || name.contains(".dpkg-")
}

//! Packages of any machine, downloaded and unpacked by an apt with a configuration of its own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::jail::{Folder, run};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Mirror of this system's packages.
pub(crate) fn mirror() -> String {
    let sources = [
        "/etc/apt/sources.list",
        "/etc/apt/sources.list.d/debian.sources",
    ];
    let text: String = sources
        .iter()
        .map(|path| fs::read_to_string(path).unwrap_or_default())
        .collect();
    let mut words = text.lines().flat_map(|line| {
        let is_source = line.starts_with("deb ") || line.starts_with("URIs:");
        line.split_whitespace().filter(move |_| is_source)
    });
    let mirror = words.find(|word| word.starts_with("http"));
    mirror.unwrap_or("http://deb.debian.org/debian").to_owned()
}

/// Downloads the packages `names` for `architecture` of Debian 12, with all dependencies.
pub(crate) fn fetch(architecture: &str, names: &[&str]) -> (Folder, Vec<PathBuf>) {
    let home = Folder::new(&format!("apt-{architecture}"));
    for directory in ["state/lists/partial", "cache/archives/partial", "etc"] {
        fs::create_dir_all(home.0.join(directory)).unwrap();
    }
    fs::write(home.0.join("status"), "").unwrap();
    let source = format!("deb [signed-by={KEYRING}] {} bookworm main\n", mirror());
    fs::write(home.0.join("etc/sources.list"), source).unwrap();
    let at = |option: &str, place: &str| format!("{option}={}", home.0.join(place).display());
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        for option in [
            at("Dir::State", "state"),
            at("Dir::State::status", "status"),
            at("Dir::Cache", "cache"),
            at("Dir::Etc", "etc"),
            format!("APT::Architecture={architecture}"),
            format!("APT::Architectures={architecture}"),
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=3".to_owned(),
            "Debug::NoLocking=true".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        run(command.args(arguments));
    };
    apt(&["-qq", "update"]);
    let install = [
        "-qq",
        "-y",
        "--no-install-recommends",
        "--download-only",
        "install",
    ];
    apt(&[install.as_slice(), names].concat());
    let mut files: Vec<PathBuf> = fs::read_dir(home.0.join("cache/archives"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .collect();
    files.sort();
    (home, files)
}

/// Unpacks packages for `architecture` into a root, without running any of their programs.
pub(crate) fn unpack(architecture: &str, names: &[&str]) -> Folder {
    let (_home, files) = fetch(architecture, names);
    let root = Folder::new(&format!("root-{architecture}"));
    // A merged /usr, which debootstrap creates before it unpacks packages.
    for name in ["bin", "sbin", "lib", "lib64"] {
        fs::create_dir_all(root.0.join("usr").join(name)).unwrap();
        symlink(format!("usr/{name}"), root.0.join(name)).unwrap();
    }
    for file in &files {
        extract(file, &root.0, ".");
    }
    root
}

/// Unpacks the path `path` of the package `file`.
fn extract(file: &Path, to: &Path, path: &str) {
    // Unlike `dpkg-deb --extract`, this keeps links to directories.
    let script = "dpkg-deb --fsys-tarfile \"$1\" | tar --extract --keep-directory-symlink --directory \"$2\" \"$3\"";
    let mut shell = Command::new("sh");
    run(shell.args(["-c", script, "sh"]).arg(file).arg(to).arg(path));
}

/// Copies one file of a package for the machine that runs the tests.
pub(crate) fn take(package: &str, path: &str, to: &Path) {
    let (_home, files) = fetch("amd64", &[package]);
    let file = files.iter().find(|file| {
        let name = file.file_name().unwrap().to_str().unwrap();
        name.starts_with(&format!("{package}_"))
    });
    let folder = Folder::new(package);
    extract(file.unwrap(), &folder.0, &format!(".{path}"));
    fs::copy(folder.0.join(path.trim_start_matches('/')), to).unwrap();
}

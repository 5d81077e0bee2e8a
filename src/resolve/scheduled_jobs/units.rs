//! Units of systemd that run as an account: systemd.unit(5), systemd.exec(5).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::host_job::{Account, HostJob, quoted, text};
use crate::error::Result;
use crate::host::{FileKind, HostView};

/// Directory of an administrator's units.
const ADMINISTRATOR: &str = "/etc/systemd/system";
/// Directory of units that systemd-run(1) and other programs created by the bus.
const TRANSIENT: &str = "/run/systemd/transient";
/// Directories of units: of two files with one name the first is read.
const DIRECTORIES: [&str; 13] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    TRANSIENT,
    "/run/systemd/generator.early",
    ADMINISTRATOR,
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];
/// Directories whose files other programs write again: a unit in them is masked, not deleted.
const GENERATED: [&str; 5] = [
    "/run/systemd/generator.early",
    "/run/systemd/generator",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];
/// Suffixes of units that start processes and can have `User=`: systemd.exec(5).
const SUFFIXES: [&str; 4] = [".service", ".socket", ".mount", ".swap"];
/// Directories beside a unit with links to the units that it pulls in: systemd.unit(5).
const PULLED_IN: [&str; 3] = [".wants", ".requires", ".upholds"];

/// The units of a host.
#[derive(Debug, Default)]
pub(super) struct Units {
    by_name: BTreeMap<String, Unit>,
    /// Instances of templates by the links that pull them in.
    instances: Vec<(String, PathBuf)>,
}

/// Files of one unit.
#[derive(Debug, Default)]
struct Unit {
    file: Option<UnitFile>,
    /// Drop-ins by file name, in the order in which they count.
    drop_ins: BTreeMap<String, UnitFile>,
}

/// A unit file or drop-in.
#[derive(Debug)]
struct UnitFile {
    path: PathBuf,
    /// Value of its last `User=`, which can be empty.
    user: Option<String>,
    /// Whether it is a link to `/dev/null`, or empty.
    is_masked: bool,
}

impl UnitFile {
    fn read(view: &HostView, path: PathBuf) -> Result<Self> {
        let text = text(view, &path)?.unwrap_or_default();
        Ok(Self {
            user: unit_user(&text).map(str::to_owned),
            is_masked: text.is_empty(),
            path,
        })
    }
}

impl Units {
    /// Reads the units.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] where one of them cannot be read.
    pub(super) fn read(view: &HostView) -> Result<Self> {
        let mut units = Self::default();
        let mut seen = Vec::new();
        for directory in DIRECTORIES.map(Path::new) {
            // `/lib` is a link to `/usr/lib` on most hosts.
            let Some(found) = view.resolve_links(directory)? else {
                continue;
            };
            if !seen.contains(&found.real) {
                seen.push(found.real);
                units.add_directory(view, directory)?;
            }
        }
        Ok(units)
    }

    fn add_directory(&mut self, view: &HostView, directory: &Path) -> Result<()> {
        for name in view.list(directory)?.unwrap_or_default() {
            let Some(name) = name.to_str() else { continue };
            let path = directory.join(name);
            if let Some(unit) = name.strip_suffix(".d") {
                self.add_drop_ins(view, unit, &path)?;
            } else if PULLED_IN.iter().any(|suffix| name.ends_with(suffix)) {
                for unit in view.list(&path)?.unwrap_or_default() {
                    let Some(unit) = unit.to_str() else { continue };
                    if is_unit(unit) && instance(unit).is_some() {
                        self.instances.push((unit.to_owned(), path.join(unit)));
                    }
                }
            } else if is_unit(name) && !is_alias(view, &path)? {
                let unit = self.by_name.entry(name.to_owned()).or_default();
                if unit.file.is_none() {
                    unit.file = Some(UnitFile::read(view, path)?);
                }
            }
        }
        Ok(())
    }

    fn add_drop_ins(&mut self, view: &HostView, unit: &str, directory: &Path) -> Result<()> {
        for name in view.list(directory)?.unwrap_or_default() {
            let is_conf = Path::new(&name).extension() == Some(OsStr::new("conf"));
            let Some(name) = name.to_str().filter(|_| is_conf) else {
                continue;
            };
            let unit = self.by_name.entry(unit.to_owned()).or_default();
            if !unit.drop_ins.contains_key(name) {
                let file = UnitFile::read(view, directory.join(name))?;
                unit.drop_ins.insert(name.to_owned(), file);
            }
        }
        Ok(())
    }

    /// The file that sets the user of the unit; `None` for root, and for a masked unit.
    fn user_file(&self, name: &str) -> Option<&UnitFile> {
        let template = template(name);
        let units = [Some(name), template.as_deref()].into_iter().flatten();
        let units: Vec<&Unit> = units.filter_map(|name| self.by_name.get(name)).collect();
        let file = units.iter().find_map(|unit| unit.file.as_ref());
        if file.is_some_and(|file| file.is_masked) {
            return None;
        }
        let drop_ins = units.iter().flat_map(|unit| unit.drop_ins.values().rev());
        let set = drop_ins.chain(file).find(|file| file.user.is_some());
        set.filter(|file| file.user.as_deref() != Some(""))
    }

    /// The units that run as the account.
    pub(super) fn jobs(&self, view: &HostView, account: Account<'_>) -> Vec<HostJob> {
        let runs_as = |unit: &str| {
            let file = self.user_file(unit)?;
            let user = file.user.as_deref()?;
            let is_its = match user {
                "%i" | "%I" | "%j" => is_instance_for(unit, account),
                user => account.is_named_by(user),
            };
            is_its.then_some(file)
        };
        let mut jobs = Vec::new();
        for unit in self.by_name.keys() {
            if let Some(file) = runs_as(unit) {
                jobs.push(HostJob {
                    what: what(view, unit, &file.path),
                    clean: removal(view, unit, &file.path),
                });
            }
        }
        for (unit, link) in &self.instances {
            if runs_as(unit).is_some() {
                jobs.push(HostJob {
                    what: what(view, unit, link),
                    clean: format!(
                        "systemctl stop {unit}; rm {}; systemctl daemon-reload",
                        quoted(&view.display_path(link))
                    ),
                });
            }
        }
        jobs
    }
}

fn what(view: &HostView, unit: &str, file: &Path) -> String {
    format!(
        "the unit `{unit}` by `{}`",
        view.display_path(file).display()
    )
}

/// The commands that stop a unit and keep it from starting again.
fn removal(view: &HostView, unit: &str, file: &Path) -> String {
    let shown = |path: &Path| quoted(&view.display_path(path));
    let directory = DIRECTORIES
        .iter()
        .find(|directory| file.starts_with(directory));
    match directory.copied() {
        Some(directory) if GENERATED.contains(&directory) => {
            let inner = file.strip_prefix(directory).unwrap_or(file);
            let mask = Path::new(ADMINISTRATOR).join(inner);
            let above = mask.parent().unwrap_or(Path::new(ADMINISTRATOR));
            format!(
                "systemctl stop {unit}; mkdir -p {}; ln -s /dev/null {}; systemctl daemon-reload",
                shown(above),
                shown(&mask)
            )
        }
        Some(TRANSIENT) => format!(
            "systemctl stop {unit}; rm -f {}; systemctl daemon-reload",
            shown(file)
        ),
        _ => format!(
            "systemctl disable --now {unit}; rm -f {}; systemctl daemon-reload",
            shown(file)
        ),
    }
}

fn is_unit(name: &str) -> bool {
    SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// Whether the file is a link to a unit of another name, which is read as that unit.
fn is_alias(view: &HostView, path: &Path) -> Result<bool> {
    let stat = view.lstat(path)?;
    if stat.is_none_or(|stat| stat.kind() != FileKind::Symlink) {
        return Ok(false);
    }
    let Some(found) = view.resolve_links(path)? else {
        return Ok(true);
    };
    let is_in = |directory: &str| found.real.parent() == Some(Path::new(directory));
    Ok(found.real.file_name() != path.file_name() && DIRECTORIES.into_iter().any(is_in))
}

/// The instance in the name of a unit: `bob` in `syncthing@bob.service`.
fn instance(unit: &str) -> Option<&str> {
    let (_, rest) = unit.split_once('@')?;
    let (instance, _) = rest.rsplit_once('.')?;
    Some(instance).filter(|instance| !instance.is_empty())
}

/// The template of an instance: `syncthing@.service` of `syncthing@bob.service`.
fn template(unit: &str) -> Option<String> {
    let instance = instance(unit)?;
    Some(unit.replacen(&format!("@{instance}."), "@.", 1))
}

/// Whether the instance of a unit is the account.
fn is_instance_for(unit: &str, account: Account<'_>) -> bool {
    // systemd-escape(1) escapes `-`.
    let escaped = account.name.replace('-', "\\x2d");
    instance(unit).is_some_and(|instance| instance == account.name || instance == escaped)
}

/// The value of the last `User=` in a unit file or drop-in; `None` if there is none. See
/// systemd.syntax(7).
fn unit_user(text: &str) -> Option<&str> {
    let mut user = None;
    let mut is_continued = false;
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        if !is_continued
            && let Some((key, value)) = line.split_once('=')
            && key.trim_end() == "User"
        {
            user = Some(value.trim());
        }
        is_continued = line.ends_with('\\');
    }
    user
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_user_of_a_unit_holds() {
        for (text, user) in [
            ("[Service]\nUser=ann\n", Some("ann")),
            ("[Service]\n User = ann \n", Some("ann")),
            ("User=ann\nUser=bob", Some("bob")),
            ("User=ann\nUser=", Some("")),
            ("#User=ann\n;User=bob", None),
            ("ExecStart=/bin/x \\\nUser=ann\nGroup=x", None),
            ("SocketUser=ann", None),
        ] {
            assert_eq!(unit_user(text), user, "{text}");
        }
        assert_eq!(instance("syncthing@bob.service"), Some("bob"));
        assert_eq!(instance("syncthing@.service"), None);
        assert_eq!(instance("cron.service"), None);
    }

    #[test]
    fn the_user_of_a_unit_is_that_of_its_last_drop_in() {
        let file = |user: Option<&str>, is_masked| UnitFile {
            path: "/x".into(),
            user: user.map(str::to_owned),
            is_masked,
        };
        let user = |main: UnitFile, drop_ins: Vec<UnitFile>| {
            let drop_ins = drop_ins.into_iter().enumerate();
            let unit = Unit {
                file: Some(main),
                drop_ins: drop_ins
                    .map(|(index, one)| (index.to_string(), one))
                    .collect(),
            };
            let units = Units {
                by_name: [("a@.service".to_owned(), unit)].into(),
                instances: Vec::new(),
            };
            let found = units.user_file("a@b.service");
            found.and_then(|file| file.user.clone())
        };
        let of = |name: &str| file(Some(name), false);
        let is = |name: &str| Some(name.to_owned());
        assert_eq!(user(of("ann"), vec![]), is("ann"));
        assert_eq!(
            user(of("ann"), vec![of("bob"), file(None, false)]),
            is("bob")
        );
        assert_eq!(user(of("ann"), vec![of("")]), None);
        assert_eq!(user(file(None, true), vec![of("ann")]), None);
    }
}

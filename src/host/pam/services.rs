//! Changes of all services of a host: that of sshd gets a block by which jailed accounts leave it
//! early, and the others refuse them.
//!
//! A program that another service starts as a jailed account would be outside of the jail. Which
//! services exist is read from the directories of libpam, so that a service which a package adds
//! later is one difference to the next run. `docs/decisions/0029-pam-services.md` has the reasons.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::backup_name::is_backup_name;
use super::super::view::HostView;
use super::block::without_block;
use super::lines::{Content, Facility, Line, parse};
use super::modules::Modules;
use super::service::{Edit, SSHD, Service, is_service, text};
use crate::error::Result;
use crate::layout::PAM_SERVICE_DIRS;

/// Service from which libpam takes each facility that the service of a program does not have.
const OTHER: &str = "other";
/// Service that earlier builds created for sshd.
const FORMER: &str = "jailctl";
/// Module that refuses all accounts.
const DENY: &str = "pam_deny.so";
/// Most files that include each other, as in libpam.
const DEPTH: usize = 16;

/// Facilities in which a service refuses jailed accounts. `session` is for programs that ask
/// `account` about the caller, such as sudo(8), or do not ask it, such as runuser(1).
const REFUSED: [Facility; 2] = [Facility::Account, Facility::Session];

/// Services that programs use by name although other services include them. Every other file that
/// is included is taken for a part of those that include it.
const USED_BY_NAME: [&str; 6] = ["login", "remote", "runuser", "su", "sudo", "xdm"];

/// Parts of services on Red Hat, Arch and Gentoo, in addition to those that are included.
const PARTS: [&str; 10] = [
    "config-util",
    "fingerprint-auth",
    "password-auth",
    "postlogin",
    "smartcard-auth",
    "system-auth",
    "system-local-login",
    "system-login",
    "system-remote-login",
    "system-services",
];

/// Services of programs that start no process as another account, and ask for the caller: the tools
/// of shadow(5).
const OF_CALLERS: [&str; 15] = [
    "chage",
    "chfn",
    "chgpasswd",
    "chpasswd",
    "chsh",
    "groupadd",
    "groupdel",
    "groupmems",
    "groupmod",
    "newusers",
    "passwd",
    "useradd",
    "userdel",
    "usermod",
    "vipw",
];

/// Changes of services, and what they cannot achieve.
#[derive(Debug, Default)]
pub struct ServiceEdits {
    /// The changes, that of sshd's service first.
    pub edits: Vec<Edit>,
    /// Notices about services that admit jailed accounts all the same.
    pub notices: Vec<String>,
}

/// The services of a host by their names.
#[derive(Debug)]
struct Services<'v> {
    view: &'v HostView,
    by_name: BTreeMap<String, Service>,
}

impl<'v> Services<'v> {
    fn read(view: &'v HostView) -> Result<Self> {
        let mut by_name = BTreeMap::new();
        for directory in PAM_SERVICE_DIRS.map(Path::new) {
            for name in view.list(directory)?.unwrap_or_default() {
                let Some(name) = name.to_str().filter(|name| !is_backup_name(name)) else {
                    continue;
                };
                if !by_name.contains_key(name)
                    && is_service(view, &directory.join(name))
                    && let Some(service) = Service::read(view, name)?
                {
                    by_name.insert(name.to_owned(), service);
                }
            }
        }
        Ok(Self { view, by_name })
    }

    /// Text and path of an included file; `None` if it does not exist.
    fn included(&self, name: &str) -> Result<Option<(PathBuf, String)>> {
        if name.starts_with('/') {
            let path = PathBuf::from(name);
            let text = text(self.view, &path)?;
            return Ok(text.map(|text| (path, without_block(&text))));
        }
        let service = self.by_name.get(name);
        Ok(service.map(|service| (service.path.clone(), service.effective())))
    }

    /// The modules of a facility of a service, those of included files too.
    fn modules_of(&self, service: &Service, facility: Facility) -> Result<Vec<String>> {
        let mut found = Vec::new();
        self.add_modules(&service.effective(), facility, 0, &mut found)?;
        Ok(found)
    }

    fn add_modules(
        &self,
        text: &str,
        facility: Facility,
        depth: usize,
        found: &mut Vec<String>,
    ) -> Result<()> {
        for line in parse(text).into_iter().filter(|line| line.is_of(facility)) {
            match line.content {
                Content::Module { name, .. } => found.push(name),
                Content::Include(name) if depth < DEPTH => {
                    if let Some((_, text)) = self.included(&name)? {
                        self.add_modules(&text, facility, depth + 1, found)?;
                    }
                }
                Content::Include(_) => {}
            }
        }
        Ok(())
    }

    /// Adds the paths of the files that `text` includes, and of those that these include.
    fn reached(&self, text: &str, paths: &mut BTreeSet<PathBuf>) -> Result<()> {
        for line in parse(text) {
            if let Content::Include(name) = line.content
                && let Some((path, text)) = self.included(&name)?
                && paths.insert(path)
            {
                self.reached(&text, paths)?;
            }
        }
        Ok(())
    }

    /// Names that services include, and whether an including service has a jump before that, which
    /// counts the lines of the included one.
    fn includes(&self) -> Result<BTreeMap<String, bool>> {
        let mut names = BTreeMap::new();
        for service in self.by_name.values() {
            self.add_includes(&service.effective(), 0, &mut names)?;
        }
        Ok(names)
    }

    fn add_includes(
        &self,
        text: &str,
        depth: usize,
        names: &mut BTreeMap<String, bool>,
    ) -> Result<()> {
        let lines = parse(text);
        for (index, line) in lines.iter().enumerate() {
            let Content::Include(name) = &line.content else {
                continue;
            };
            // A file that is created for the block includes that of the distribution.
            if name.starts_with('/') {
                if depth < DEPTH
                    && let Some((_, text)) = self.included(name)?
                {
                    self.add_includes(&text, depth + 1, names)?;
                }
                continue;
            }
            let is_jump = |line: &Line| matches!(line.content, Content::Module { jumps: true, .. });
            let jumps = REFUSED.into_iter().any(|facility| {
                let mut before = lines[..index].iter().filter(|line| line.is_of(facility));
                line.is_of(facility) && before.any(is_jump)
            });
            *names.entry(name.clone()).or_default() |= jumps;
        }
        Ok(())
    }
}

/// Whether a file is a part that services include, by the name that distributions give it: their
/// tools write these files, such as pam-auth-update(8) and authselect(8).
fn is_part_by_name(name: &str) -> bool {
    name.starts_with("common-") || name.starts_with("base-") || PARTS.contains(&name)
}

/// Changes by which jailed accounts leave the service of sshd early, and all other services of the
/// host refuse them. `sshd` is the name of the service of sshd; `None` if sshd does not use PAM.
///
/// # Errors
/// As [`Service::read`].
pub fn with_blocks(view: &HostView, sshd: Option<&str>, modules: &Modules) -> Result<ServiceEdits> {
    let services = Services::read(view)?;
    let of_sshd = services.by_name.get(sshd.unwrap_or(SSHD));
    let mut reached = BTreeSet::new();
    if let Some(service) = of_sshd {
        services.reached(&service.effective(), &mut reached)?;
    }
    // sshd takes from `other` what its own service does not have.
    let mut of_other = Vec::new();
    for facility in REFUSED.into_iter().filter(|_| sshd.is_some()) {
        let modules = of_sshd.map(|service| services.modules_of(service, facility));
        if modules
            .transpose()?
            .is_none_or(|modules| modules.is_empty())
        {
            of_other.push(facility);
        }
    }
    let included = services.includes()?;
    let mut changes = ServiceEdits::default();
    if let Some(service) = of_sshd.filter(|_| sshd.is_some()) {
        let has_session = !of_other.contains(&Facility::Session);
        changes
            .edits
            .extend(service.with_block(modules, has_session));
    }
    // Two names can be links to one file.
    let mut by_path: BTreeMap<&Path, (&Service, Vec<Facility>)> = BTreeMap::new();
    for (name, service) in &services.by_name {
        if of_sshd.is_some_and(|sshd| sshd.path == service.path) {
            continue;
        }
        let jumps = included.get(name);
        let is_part = jumps.is_some() && !USED_BY_NAME.contains(&name.as_str())
            || is_part_by_name(name)
            || reached.contains(&service.path)
            || OF_CALLERS.contains(&name.as_str())
            || service.without_former().is_some();
        let mut facilities = Vec::new();
        for facility in REFUSED.into_iter().filter(|_| !is_part) {
            // A facility without a module is that of `other`: a line of it alone would change what
            // applies to other accounts.
            let mut modules = services.modules_of(service, facility)?.into_iter();
            let is_of_sshd = name == OTHER && of_other.contains(&facility);
            if !is_of_sshd && modules.any(|name| name != DENY) {
                facilities.push(facility);
            }
        }
        if jumps == Some(&true) && !facilities.is_empty() {
            changes.notices.push(format!(
                "the PAM service `{name}` does not refuse jailed accounts: a jump in a service that includes it counts its lines"
            ));
            facilities.clear();
        }
        let (_, refused) = by_path
            .entry(&service.path)
            .or_insert((service, Vec::new()));
        if refused.is_empty() {
            *refused = facilities;
        }
    }
    let edits = by_path.into_values();
    let edits = edits.filter_map(|(service, facilities)| service.with_refusal(&facilities));
    changes.edits.extend(edits);
    Ok(changes)
}

/// Change that deletes the service `jailctl` of earlier builds; `None` if there is none.
///
/// # Errors
/// As [`Service::read`].
pub fn without_former(view: &HostView) -> Result<Option<Edit>> {
    let service = Service::read(view, FORMER)?;
    Ok(service.and_then(|service| service.without_former()))
}

/// Changes that remove the block from every service.
///
/// # Errors
/// As [`Service::read`].
pub fn without_blocks(view: &HostView) -> Result<Vec<Edit>> {
    let mut edits = Vec::new();
    let directory = Path::new(PAM_SERVICE_DIRS[0]);
    for name in view.list(directory)?.unwrap_or_default() {
        if let Some(name) = name.to_str()
            && is_service(view, &directory.join(name))
            && let Some(service) = Service::read(view, name)?
        {
            add(
                service.without_block().or(service.without_former()),
                &mut edits,
            );
        }
    }
    Ok(edits)
}

/// Adds the change of a file once: two names can be links to one file.
fn add(edit: Option<Edit>, edits: &mut Vec<Edit>) {
    edits.extend(edit.filter(|edit| edits.iter().all(|other| other.path != edit.path)));
}

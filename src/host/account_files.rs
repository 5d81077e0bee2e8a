//! Edits of the account files of a host that does not run: passwd(5), shadow(5), group(5),
//! gshadow(5), subuid(5) and subgid(5), each as a list of lines.
//!
//! Pure functions on text; `offline_accounts` reads, locks and replaces the files. Each edit has the
//! effect of one call of useradd(8), usermod(8), userdel(8), groupadd(8), groupdel(8) or
//! chpasswd(8) of shadow 4.13, so that a host in a directory gets the same bytes as a running one.
//! Lines that an edit does not concern stay as they are, malformed ones included.

mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use table::{Table, field};

use super::account_entry::{AccountFields, NewAccount};
use super::account_tools::Expiry;

/// `sp_expire` of a closed account, in days since the epoch.
const CLOSED: i64 = 1;

/// The password field of passwd(5) and group(5) of an entry whose password is in the shadow file.
const SHADOWED: &[u8] = b"x";

/// An account file in `/etc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Database {
    /// passwd(5).
    Passwd,
    /// shadow(5).
    Shadow,
    /// group(5).
    Group,
    /// gshadow(5).
    Gshadow,
    /// subuid(5).
    Subuid,
    /// subgid(5).
    Subgid,
}

impl Database {
    /// Every account file, in the order in which changes are written: an interrupted edit leaves a
    /// line of a shadow file without its account or group, which `Accounts::orphan_shadow_users`
    /// finds.
    pub(super) const ALL: [Self; 6] = [
        Self::Passwd,
        Self::Shadow,
        Self::Group,
        Self::Gshadow,
        Self::Subuid,
        Self::Subgid,
    ];

    /// The name of the file in `/etc`.
    pub(super) fn file_name(self) -> &'static str {
        match self {
            Self::Passwd => "passwd",
            Self::Shadow => "shadow",
            Self::Group => "group",
            Self::Gshadow => "gshadow",
            Self::Subuid => "subuid",
            Self::Subgid => "subgid",
        }
    }
}

/// Reason why an edit was not made.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Another account or group has this id: exit status 4 of useradd(8) and groupadd(8).
    IdTaken(u32),
    /// Any other reason.
    Because(String),
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self::Because(why)
    }
}

/// Settings of login.defs(5) and `/etc/default/useradd` that decide what an edit writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Defaults {
    /// `PASS_MIN_DAYS`, in days.
    pub(super) min_days: Option<i64>,
    /// `PASS_MAX_DAYS`, in days.
    pub(super) max_days: Option<i64>,
    /// `PASS_WARN_AGE`, in days.
    pub(super) warn_days: Option<i64>,
    /// `INACTIVE` of useradd(8), in days.
    pub(super) inactive_days: Option<i64>,
    /// `USERGROUPS_ENAB`: userdel(8) removes the user's own group.
    pub(super) user_groups: bool,
}

impl Defaults {
    /// Parses the text of login.defs(5) and of `/etc/default/useradd`. A later line wins.
    pub(super) fn parse(login_defs: &str, useradd: &str) -> Self {
        let value = |key: &str| {
            let words = |line: &'_ str| {
                let mut words = line.split_whitespace();
                (words.next() == Some(key)).then(|| words.next().map(str::to_owned))?
            };
            login_defs.lines().filter_map(words).next_back()
        };
        // -1 means unset, in both files.
        let days = |text: Option<String>| text?.parse().ok().filter(|days: &i64| *days >= 0);
        let inactive = useradd
            .lines()
            .filter_map(|line| line.strip_prefix("INACTIVE="));
        Self {
            min_days: days(value("PASS_MIN_DAYS")),
            max_days: days(value("PASS_MAX_DAYS")),
            warn_days: days(value("PASS_WARN_AGE")),
            inactive_days: days(inactive.map(|text| text.trim().to_owned()).next_back()),
            user_groups: value("USERGROUPS_ENAB").is_some_and(|on| on.eq_ignore_ascii_case("yes")),
        }
    }
}

fn digits(number: Option<i64>) -> Vec<u8> {
    number
        .map(|number| number.to_string().into_bytes())
        .unwrap_or_default()
}

/// Refuses a value that would end its field or its line.
fn plain(value: &str) -> Result<&[u8], Refusal> {
    if value.chars().any(|c| c == ':' || c.is_control()) {
        return Err(format!(
            "`{}` has a colon or a control character",
            value.escape_debug()
        )
        .into());
    }
    Ok(value.as_bytes())
}

/// The account files of one host, to be edited.
#[derive(Debug)]
pub(super) struct AccountFiles {
    tables: BTreeMap<Database, Table>,
    defaults: Defaults,
    /// The day of the edit, in days since the epoch.
    today: i64,
}

impl AccountFiles {
    /// Parses the text of each file that exists; passwd(5), group(5) and shadow(5) have to.
    ///
    /// shadow(5) is required because an account is closed by its expiry date, which only that file
    /// has.
    pub(super) fn new(
        texts: &BTreeMap<Database, Vec<u8>>,
        defaults: Defaults,
        today: i64,
    ) -> Result<Self, Refusal> {
        for needed in [Database::Passwd, Database::Group, Database::Shadow] {
            if !texts.contains_key(&needed) {
                return Err(format!("the host has no `/etc/{}`", needed.file_name()).into());
            }
        }
        let tables = texts
            .iter()
            .map(|(database, text)| (*database, Table::parse(text)));
        Ok(Self {
            tables: tables.collect(),
            defaults,
            today,
        })
    }

    /// New text of each file that an edit has changed.
    pub(super) fn changed(&self) -> impl Iterator<Item = (Database, Vec<u8>)> {
        self.tables
            .iter()
            .filter(|(_, table)| table.is_changed)
            .map(|(database, table)| (*database, table.text()))
    }

    fn table(&mut self, database: Database) -> &mut Table {
        self.tables.entry(database).or_default()
    }

    fn optional(&mut self, database: Database) -> Option<&mut Table> {
        self.tables.get_mut(&database)
    }

    /// groupadd(8) of a group with this id.
    pub(super) fn add_group(&mut self, name: &str, gid: u32) -> Result<(), Refusal> {
        let name_field = plain(name)?;
        let groups = self.table(Database::Group);
        if groups.row(name)?.is_some() {
            return Err(format!("there is a group `{name}`").into());
        }
        if groups.by_number(2, gid).is_some() {
            return Err(Refusal::IdTaken(gid));
        }
        groups.add(&[name_field, SHADOWED, gid.to_string().as_bytes(), b""]);
        match self.optional(Database::Gshadow) {
            Some(gshadow) => gshadow.put(name, &[name_field, b"!", b"", b""]),
            None => Ok(()),
        }
    }

    /// groupdel(8). Refuses the primary group of a user.
    pub(super) fn remove_group(&mut self, name: &str) -> Result<(), Refusal> {
        let groups = self.table(Database::Group);
        let Some(row) = groups.row(name)? else {
            return Err(format!("there is no group `{name}`").into());
        };
        let gid = groups.number(row, 2);
        let users = self.table(Database::Passwd);
        if let Some(row) = gid.and_then(|gid| users.by_number(3, gid)) {
            let user = String::from_utf8_lossy(field(&users.lines[row], 0)).into_owned();
            return Err(format!("it is the primary group of `{user}`").into());
        }
        self.table(Database::Group).remove(name)?;
        match self.optional(Database::Gshadow) {
            Some(gshadow) => gshadow.remove(name),
            None => Ok(()),
        }
    }

    /// useradd(8) of a closed account: the password `*`, expired.
    pub(super) fn add_user(&mut self, account: &NewAccount) -> Result<(), Refusal> {
        let name = plain(&account.name)?;
        let users = self.table(Database::Passwd);
        if users.row(&account.name)?.is_some() {
            return Err(format!("there is a user `{}`", account.name).into());
        }
        if users.by_number(2, account.uid).is_some() {
            return Err(Refusal::IdTaken(account.uid));
        }
        self.require_gid(account.gid)?;
        for group in &account.groups {
            if self.table(Database::Group).row(group)?.is_none() {
                return Err(format!("there is no group `{group}`").into());
            }
        }
        self.table(Database::Passwd).add(&[
            name,
            SHADOWED,
            account.uid.to_string().as_bytes(),
            account.gid.to_string().as_bytes(),
            plain(&account.gecos)?,
            plain(&account.home)?,
            plain(&account.shell)?,
        ]);
        let inactive = self.defaults.inactive_days;
        self.put_aging(&account.name, b"*", inactive, Some(CLOSED))?;
        self.set_groups(&account.name, &account.groups, false);
        Ok(())
    }

    /// Refuses a primary group that does not exist.
    fn require_gid(&mut self, gid: u32) -> Result<(), Refusal> {
        match self.table(Database::Group).by_number(2, gid) {
            Some(_) => Ok(()),
            None => Err(format!("there is no group with the id {gid}").into()),
        }
    }

    /// Writes a whole line of shadow(5), with the ages of login.defs(5) and changed today.
    fn put_aging(
        &mut self,
        user: &str,
        password: &[u8],
        inactive: Option<i64>,
        expires: Option<i64>,
    ) -> Result<(), Refusal> {
        let defaults = self.defaults.clone();
        let today = self.last_change();
        self.table(Database::Shadow).put(
            user,
            &[
                user.as_bytes(),
                password,
                &today,
                &digits(defaults.min_days),
                &digits(defaults.max_days),
                &digits(defaults.warn_days),
                &digits(inactive),
                &digits(expires),
                b"",
            ],
        )
    }

    /// `sp_lstchg` of a change of today. 0 would ask for a new password at login.
    fn last_change(&self) -> Vec<u8> {
        digits(Some(self.today).filter(|day| *day > 0))
    }

    /// The line of a user in passwd(5).
    fn user_row(&mut self, user: &str) -> Result<usize, Refusal> {
        self.table(Database::Passwd)
            .row(user)?
            .ok_or_else(|| format!("there is no user `{user}`").into())
    }

    /// `usermod --gid --home --shell --comment --groups`, for the fields that differ. A
    /// supplementary group that does not exist is skipped.
    pub(super) fn modify_user(&mut self, user: &str, to: &AccountFields) -> Result<(), Refusal> {
        let row = self.user_row(user)?;
        if self.table(Database::Passwd).number(row, 3) != Some(to.gid) {
            self.require_gid(to.gid)?;
        }
        let users = self.table(Database::Passwd);
        users.set(row, 3, to.gid.to_string().as_bytes());
        users.set(row, 4, plain(&to.gecos)?);
        users.set(row, 5, plain(&to.home)?);
        users.set(row, 6, plain(&to.shell)?);
        let mut wanted = Vec::new();
        for group in &to.groups {
            if self.table(Database::Group).row(group)?.is_some() {
                wanted.push(group.clone());
            }
        }
        wanted.sort();
        if self.groups_of(user) != wanted {
            self.set_groups(user, &wanted, true);
        }
        Ok(())
    }

    /// Supplementary groups of a user in group(5), sorted.
    fn groups_of(&mut self, user: &str) -> Vec<String> {
        let groups = self.table(Database::Group);
        let rows = (0..groups.lines.len()).filter(|row| groups.has_member(*row, 3, user));
        let name = |row: usize| String::from_utf8_lossy(field(&groups.lines[row], 0)).into_owned();
        let mut names: Vec<String> = rows.map(name).collect();
        names.sort();
        names
    }

    /// Makes a user a member of `groups` in group(5) and gshadow(5), and of no other group if
    /// `only`.
    fn set_groups(&mut self, user: &str, groups: &[String], only: bool) {
        for database in [Database::Group, Database::Gshadow] {
            let Some(table) = self.optional(database) else {
                continue;
            };
            for row in 0..table.lines.len() {
                let name = field(&table.lines[row], 0);
                let is_member = groups.iter().any(|group| group.as_bytes() == name);
                if is_member || only {
                    table.set_member(row, 3, user, is_member);
                }
            }
        }
    }

    /// `usermod --expiredate`. If the user has no line in shadow(5), one is created from passwd(5).
    pub(super) fn set_expiry(&mut self, user: &str, expires: Expiry) -> Result<(), Refusal> {
        let row = self.user_row(user)?;
        let day = match expires {
            Expiry::Never => None,
            Expiry::Closed => Some(CLOSED),
            Expiry::Day(day) => Some(day),
        };
        let shadow = self.table(Database::Shadow);
        if let Some(found) = shadow.row(user)? {
            shadow.set(found, 7, &digits(day));
            return Ok(());
        }
        let users = self.table(Database::Passwd);
        let password = field(&users.lines[row], 1).to_vec();
        // usermod(8) writes passwd(5) for other options only, so its field stays.
        self.put_aging(user, &password, None, day)
    }

    /// `chpasswd --encrypted`: a crypt(5) hash or `*`.
    pub(super) fn set_password(&mut self, user: &str, encrypted: &str) -> Result<(), Refusal> {
        let password = plain(encrypted)?;
        let row = self.user_row(user)?;
        let today = self.last_change();
        let users = self.table(Database::Passwd);
        let is_shadowed = field(&users.lines[row], 1) == SHADOWED;
        let shadow = self.table(Database::Shadow);
        match shadow.row(user)? {
            Some(found) => {
                shadow.set(found, 1, password);
                shadow.set(found, 2, &today);
            }
            None if is_shadowed => self.put_aging(user, password, None, None)?,
            None => {}
        }
        if !is_shadowed {
            self.table(Database::Passwd).set(row, 1, password);
        }
        Ok(())
    }

    /// userdel(8): the account, its memberships, its subordinate ids and, by `USERGROUPS_ENAB`, the
    /// group of the same name if no other account has it as primary group.
    pub(super) fn remove_user(&mut self, user: &str) -> Result<(), Refusal> {
        let row = self.user_row(user)?;
        let gid = self.table(Database::Passwd).number(row, 3);
        self.table(Database::Passwd).remove(user)?;
        self.table(Database::Shadow).remove(user)?;
        let groups = self.table(Database::Group);
        for row in 0..groups.lines.len() {
            groups.set_member(row, 3, user, false);
        }
        if self.defaults.user_groups {
            self.remove_user_group(user, gid)?;
        }
        if let Some(gshadow) = self.optional(Database::Gshadow) {
            for row in 0..gshadow.lines.len() {
                gshadow.set_member(row, 2, user, false);
                gshadow.set_member(row, 3, user, false);
            }
        }
        for database in [Database::Subuid, Database::Subgid] {
            if let Some(table) = self.optional(database) {
                let before = table.lines.len();
                table.lines.retain(|line| field(line, 0) != user.as_bytes());
                table.is_changed |= table.lines.len() != before;
            }
        }
        Ok(())
    }

    fn remove_user_group(&mut self, user: &str, gid: Option<u32>) -> Result<(), Refusal> {
        let groups = self.table(Database::Group);
        let Some(row) = groups.row(user)? else {
            return Ok(());
        };
        let has_members = !field(&groups.lines[row], 3).is_empty();
        if gid.is_none() || groups.number(row, 2) != gid || has_members {
            return Ok(());
        }
        let users = self.table(Database::Passwd);
        if gid.is_some_and(|gid| users.by_number(3, gid).is_some()) {
            return Ok(());
        }
        self.table(Database::Group).remove(user)?;
        match self.optional(Database::Gshadow) {
            Some(gshadow) => gshadow.remove(user),
            None => Ok(()),
        }
    }
}

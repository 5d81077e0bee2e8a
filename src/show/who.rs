//! Open logins of the users of jails, as text and as JSON.

use serde_json::{Value, json};

use super::table::{self, Align};
use super::time;
use crate::host::{Login, Via};
use crate::names::JailName;

/// One open login.
#[derive(Clone, Debug)]
pub struct WhoRow {
    /// Jail of the user.
    pub jail: JailName,
    /// Login name.
    pub user: String,
    /// The login.
    pub login: Login,
}

impl WhoRow {
    /// Where the login came from: an address, `enter`, or nothing for processes whose connection
    /// has ended.
    fn origin(&self) -> String {
        match (self.login.via, self.login.from) {
            (_, Some(from)) => from.ip().to_string(),
            (Via::Enter, None) => "enter".to_owned(),
            (Via::Sshd | Via::Nothing, None) => "-".to_owned(),
        }
    }

    /// The login in one line: `carol from 192.0.2.7 since …, process 4711 on pts/0`.
    pub fn line(&self) -> String {
        let login = &self.login;
        let origin = match login.via {
            Via::Sshd => format!("from {}", self.origin()),
            Via::Enter => "by `jailctl enter`".to_owned(),
            Via::Nothing => "without a connection".to_owned(),
        };
        let tty = login.tty.as_ref().map(|tty| format!(" on {tty}"));
        format!(
            "{} {origin} since {}, process {}{}",
            self.user,
            time::human(login.since),
            login.pid,
            tty.unwrap_or_default()
        )
    }
}

/// Table of the logins; an empty string if there are none.
pub fn table(rows: &[WhoRow]) -> String {
    let columns = [
        ("JAIL", Align::Left),
        ("USER", Align::Left),
        ("FROM", Align::Left),
        ("SINCE", Align::Left),
        ("PID", Align::Right),
        ("TTY", Align::Left),
        ("PROCESSES", Align::Right),
        ("SCOPE", Align::Left),
    ];
    let row = |row: &WhoRow| {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        [
            row.jail.to_string(),
            row.user.clone(),
            row.origin(),
            time::human(row.login.since),
            row.login.pid.to_string(),
            or_dash(&row.login.tty),
            row.login.processes.to_string(),
            or_dash(&row.login.scope),
        ]
    };
    table::table(columns, rows.iter().map(row).collect())
}

/// One login as JSON.
pub fn login_json(row: &WhoRow) -> Value {
    let login = &row.login;
    json!({
        "jail": row.jail,
        "user": row.user,
        "via": match login.via {
            Via::Sshd => "sshd",
            Via::Enter => "enter",
            Via::Nothing => "none",
        },
        "from": login.from.map(|from| from.ip().to_string()),
        "port": login.from.map(|from| from.port()),
        "since": time::rfc3339(login.since),
        "pid": login.pid,
        "tty": login.tty,
        "scope": login.scope,
        "processes": login.processes,
    })
}

/// `who --json`.
pub fn json(rows: &[WhoRow]) -> Value {
    let logins: Vec<Value> = rows.iter().map(login_json).collect();
    json!({ "schema": 1, "logins": logins })
}

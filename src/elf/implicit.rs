//! Libraries that programs load although none of their files names them: modules of nsswitch.conf,
//! and known cases with their reasons.

use super::dlopen_note::Priority;

/// Most modules that are read from one text.
const MODULES: usize = 256;

/// A library that programs may load at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImplicitLibrary {
    /// Name that is searched for.
    pub name: String,
    /// Reason, as in [`Reason::Implicit`](super::Reason::Implicit).
    pub why: String,
    /// Importance of the library.
    pub priority: Priority,
}

/// Modules that nsswitch.conf(5) names. `databases` selects lines; an empty slice selects all.
///
/// The module of a service `x` is `libnss_x.so.2`. From glibc 2.34 `files` and `dns` are part of
/// libc and their files do not exist: a module that is not found is left out.
pub fn nss_modules(nsswitch: &str, databases: &[&str]) -> Vec<ImplicitLibrary> {
    let mut modules: Vec<ImplicitLibrary> = Vec::new();
    for line in nsswitch.lines() {
        let line = line.split('#').next().unwrap_or(line);
        let Some((database, services)) = line.split_once(':') else {
            continue;
        };
        let database = database.trim();
        if !databases.is_empty() && !databases.contains(&database) {
            continue;
        }
        for service in services_of(services) {
            let name = format!("libnss_{service}.so.2");
            if modules.len() < MODULES && modules.iter().all(|module| module.name != name) {
                let why = format!("loaded for {database}: {service} of nsswitch.conf");
                modules.push(ImplicitLibrary {
                    name,
                    why,
                    priority: Priority::Recommended,
                });
            }
        }
    }
    modules
}

/// Services of a line, without the actions in brackets between them.
fn services_of(line: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    line.split_inclusive([']', '['])
        .flat_map(move |part| {
            let was_inside = std::mem::replace(&mut inside, part.ends_with('['));
            let text = if was_inside { "" } else { part };
            text.trim_end_matches('[').split_whitespace()
        })
        .filter(|service| {
            service
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+'))
        })
}

/// Libraries that glibc itself loads at run time.
pub fn loaded_by_glibc() -> Vec<ImplicitLibrary> {
    [
        (
            "libgcc_s.so.1",
            "loaded by libc for pthread_cancel, pthread_exit and backtrace",
            Priority::Recommended,
        ),
        (
            "libidn2.so.0",
            "loaded by libc to look up host names that are not in ASCII (AI_IDN of getaddrinfo)",
            Priority::Suggested,
        ),
    ]
    .into_iter()
    .map(|(name, why, priority)| ImplicitLibrary {
        name: name.to_owned(),
        why: why.to_owned(),
        priority,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str, databases: &[&str]) -> Vec<String> {
        nss_modules(text, databases)
            .into_iter()
            .map(|module| module.name)
            .collect()
    }

    #[test]
    fn services_are_taken_without_actions_and_comments() {
        let text = "# x: y\npasswd: files systemd [!UNAVAIL=return] sss# z\nhosts: files [SUCCESS=merge]dns ../evil\n";
        assert_eq!(
            names(text, &[]),
            [
                "libnss_files.so.2",
                "libnss_systemd.so.2",
                "libnss_sss.so.2",
                "libnss_dns.so.2"
            ]
        );
        assert_eq!(
            names(text, &["hosts"]),
            ["libnss_files.so.2", "libnss_dns.so.2"]
        );
    }
}

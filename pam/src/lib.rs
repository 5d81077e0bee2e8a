//! `pam_jailctl.so`: the PAM session phase of sshd for jailed accounts.
//!
//! `pam_sm_open_session` determines the jail of the account, reads the policy of that jail, and
//! moves the calling process, sshd's for this one connection, into a session
//! ([`jailctl_session::open`]), which ends with that process. `pam_sm_close_session` logs the end.
//!
//! - The module fails closed: after any error a jailed account gets `PAM_SESSION_ERR`, and a line
//!   in the log with the reason. If the module is not called at all, there is no directory to which
//!   sshd could chroot(2).
//! - An account that is not jailed gets `PAM_IGNORE`, after one comparison of its login shell.
//! - No panic crosses the C boundary: a build that unwinds stops it there, and one that aborts ends
//!   sshd's process of that one connection. Both mean no session.
//!
//! The module calls libpam and the C library only; `ffi` declares what it uses of libpam.

mod ffi;

use std::ffi::c_int;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ffi::{Pam, PamReturn, Priority, Subject};
use jailctl_session::cgroup::{leave_sshd, no_core_dumps};
use jailctl_session::count_refusal;
use jailctl_session::journal::Event;
use jailctl_session::open::{self, Counted, Utmp};
use jailctl_session::policy::Policy;
use jailctl_session::shared_layout::{GROUP_PREFIX, JAIL_ROOT, SHELL_PREFIX};

/// Variables about the host that pam_systemd(8) and pam_mail(8) set.
const HOST_ENV: [&str; 6] = [
    "XDG_RUNTIME_DIR",
    "XDG_SESSION_ID",
    "XDG_SESSION_CLASS",
    "XDG_SESSION_TYPE",
    "DBUS_SESSION_BUS_ADDRESS",
    "MAIL",
];

/// Data stored in libpam from the beginning of a session to its end.
struct SessionData {
    /// Jail, user and remote host, for the log.
    context: String,
    subject: Subject,
    /// Counts the session as long as it is stored; `None` for a plain chroot.
    _session: Option<Counted>,
}

/// Opens a session; see pam_sm_open_session(3).
///
/// # Safety
/// `handle` is the handle that libpam passes to modules.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pam_sm_open_session(
    handle: *mut ffi::Handle,
    _flags: c_int,
    _argc: c_int,
    _argv: *mut *const ffi::c_char,
) -> c_int {
    // SAFETY: guaranteed by libpam.
    let pam = unsafe { Pam::new(handle) };
    catch_panic(pam, open)
}

/// Closes a session; see pam_sm_close_session(3).
///
/// # Safety
/// `handle` is the handle that libpam passes to modules.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pam_sm_close_session(
    handle: *mut ffi::Handle,
    _flags: c_int,
    _argc: c_int,
    _argv: *mut *const ffi::c_char,
) -> c_int {
    // SAFETY: guaranteed by libpam.
    let pam = unsafe { Pam::new(handle) };
    catch_panic(pam, |pam| Ok(close(pam)))
}

/// Calls `act` at the C boundary: errors are logged, and after an error or a panic no session is
/// opened.
fn catch_panic(pam: Option<Pam>, act: impl FnOnce(&Pam) -> Result<PamReturn, Refusal>) -> c_int {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let Some(pam) = pam else {
            return PamReturn::Refused;
        };
        act(&pam).unwrap_or_else(|refusal| {
            let Refusal {
                why,
                subject,
                reason,
            } = refusal;
            let line = format!("no session: {why}");
            let event = Some(Event::SessionRefused);
            pam.log(Priority::Error, event, &subject, &line);
            if let Some(jail) = &subject.jail {
                count_refusal(jail, reason);
            }
            PamReturn::Refused
        })
    }));
    outcome.unwrap_or(PamReturn::Refused).code()
}

/// Refusal of a session.
struct Refusal {
    why: String,
    subject: Subject,
    /// The reason in one word, for the counters.
    reason: &'static str,
}

impl Refusal {
    /// A refusal before the jail of the account is known.
    fn early(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            subject: Subject::default(),
            reason: "account",
        }
    }
}

fn open(pam: &Pam) -> Result<PamReturn, Refusal> {
    let user = (pam.user()).ok_or_else(|| Refusal::early("libpam has no login name"))?;
    let account = pam
        .account(&user)
        .ok_or_else(|| Refusal::early(format!("there is no account `{}`", user.escape_debug())))?;
    if !account.shell.starts_with(SHELL_PREFIX) {
        return Ok(PamReturn::Ignore);
    }
    let group = pam.group(account.gid);
    let jail = group
        .as_deref()
        .and_then(|group| group.strip_prefix(GROUP_PREFIX))
        .ok_or_else(|| {
            let why = format!("the primary group of `{user}` is not the group of a jail");
            Refusal::early(why)
        })?;
    let from = pam.remote_host().unwrap_or_else(|| "unknown".to_owned());
    let context = format!("jail {jail}, user {user}, from {}", from.escape_debug());
    let subject = Subject {
        jail: Some(jail.to_owned()),
        user: Some(user.clone()),
    };
    let refused = |error: jailctl_session::Error| Refusal {
        why: format!("{error} ({context})"),
        subject: subject.clone(),
        reason: error.reason(),
    };
    let policy = Policy::load_for_user(jail, &user).map_err(refused)?;
    for name in HOST_ENV {
        pam.unset(name);
    }
    if let Some(home) = account.home.strip_prefix(JAIL_ROOT) {
        pam.set("HOME", home);
    }
    open::new_session_keyring(account.uid, account.gid).map_err(refused)?;
    let counted_with_sshd = |error: Option<&dyn Display>| {
        if let Some(error) = error {
            let line = format!("no control group of its own: {error} ({context})");
            pam.log(Priority::Error, None, &subject, &line);
        }
    };
    let Some(policy) = policy else {
        // A plain chroot, which sshd creates. Its resource usage does not count against sshd's
        // unit, and no core of it reaches the core handler of the host.
        no_core_dumps().map_err(refused)?;
        let error = leave_sshd(jail, &user).err();
        counted_with_sshd(error.as_ref().map(|error| error as _));
        pam.log(
            Priority::Info,
            Some(Event::SessionOpened),
            &subject,
            &format!("session opened: {context}, plain chroot"),
        );
        let open = SessionData {
            context,
            subject,
            _session: None,
        };
        return store(pam, open);
    };
    let session = open::open(&policy, &user, Utmp::Mirrored).map_err(refused)?;
    counted_with_sshd(session.in_sshds_group().map(|error| error as _));
    let mounts: Vec<String> = policy
        .mounts
        .iter()
        .map(|mount| mount.target.display().to_string())
        .collect();
    pam.log(
        Priority::Info,
        Some(Event::SessionOpened),
        &subject,
        &format!(
            "session opened: {context}, own {}, mounted {}",
            policy.summary(),
            mounts.join(" ")
        ),
    );
    let open = SessionData {
        context,
        subject,
        // sshd's process that becomes the user has a copy of every descriptor of this one.
        _session: Some(session.into_counted()),
    };
    store(pam, open)
}

/// Stores the session in libpam until it ends.
fn store(pam: &Pam, open: SessionData) -> Result<PamReturn, Refusal> {
    let subject = open.subject.clone();
    if !pam.set_data(open) {
        return Err(Refusal {
            why: "libpam did not store the session".to_owned(),
            subject,
            reason: "system",
        });
    }
    Ok(PamReturn::Success)
}

/// Logs the end. Everything else of the session ends with sshd's process for the connection, which
/// exits next.
fn close(pam: &Pam) -> PamReturn {
    // SAFETY: the module stores no other type.
    let found = unsafe { pam.take_data::<SessionData>() };
    let Some(SessionData {
        context,
        subject,
        _session,
    }) = found
    else {
        return PamReturn::Ignore;
    };
    pam.log(
        Priority::Info,
        Some(Event::SessionClosed),
        &subject,
        &format!("session closed: {context}"),
    );
    PamReturn::Success
}

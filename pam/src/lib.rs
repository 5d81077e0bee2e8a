//! `pam_jailctl.so`: sshd's session phase for accounts that live in a jail.
//!
//! `pam_sm_open_session` looks up whose jail the account is in, reads that jail's policy, and puts the calling process, sshd's for this one
//! connection, into a session ([`jailctl_session::open`]), which ends with that process. `pam_sm_close_session` writes that down.
//!
//! - It fails closed: whatever goes wrong, a jailed account gets `PAM_SESSION_ERR` and a line in the log that says why. And if this
//!   module were not called at all, sshd would have nothing to chroot(2) to.
//! - An account that lives in no jail gets `PAM_IGNORE`, after one look at its login shell.
//! - No panic leaves it: a build that unwinds stops it at the boundary, and one that aborts ends sshd's process of that one connection.
//!   Both mean no session.
//!
//! It calls libpam and the C library only; [`ffi`] is all of libpam that it knows.

mod ffi;

use std::ffi::c_int;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ffi::{Pam, PamReturn, Priority};
use jailctl_session::cgroup::{leave_sshd, no_core_dumps};
use jailctl_session::layout::{GROUP_PREFIX, JAIL_ROOT, SHELL_PREFIX};
use jailctl_session::open::{self, Counted, Utmp};
use jailctl_session::policy::Policy;

/// What pam_systemd(8) says of the host, and pam_mail(8).
const HOST_ENV: [&str; 6] = [
    "XDG_RUNTIME_DIR",
    "XDG_SESSION_ID",
    "XDG_SESSION_CLASS",
    "XDG_SESSION_TYPE",
    "DBUS_SESSION_BUS_ADDRESS",
    "MAIL",
];

/// What is kept from the beginning of a session to its end.
struct SessionData {
    /// How the log calls it.
    whose: String,
    /// As long as it is kept, the session is counted; `None` for a plain chroot.
    _session: Option<Counted>,
}

/// Begins a session; see pam_sm_open_session(3).
///
/// # Safety
/// `handle` is libpam's, as it hands it to modules.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pam_sm_open_session(
    handle: *mut ffi::Handle,
    _flags: c_int,
    _argc: c_int,
    _argv: *mut *const ffi::c_char,
) -> c_int {
    // SAFETY: as promised to us.
    let pam = unsafe { Pam::new(handle) };
    catch_panic(pam, open)
}

/// Ends a session; see pam_sm_close_session(3).
///
/// # Safety
/// `handle` is libpam's, as it hands it to modules.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pam_sm_close_session(
    handle: *mut ffi::Handle,
    _flags: c_int,
    _argc: c_int,
    _argv: *mut *const ffi::c_char,
) -> c_int {
    // SAFETY: as promised to us.
    let pam = unsafe { Pam::new(handle) };
    catch_panic(pam, |pam| Ok(close(pam)))
}

/// The boundary: errors are logged, and neither they nor a panic let anybody in.
fn catch_panic(pam: Option<Pam>, act: impl FnOnce(&Pam) -> Result<PamReturn, String>) -> c_int {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let Some(pam) = pam else {
            return PamReturn::Refused;
        };
        act(&pam).unwrap_or_else(|why| {
            pam.log(Priority::Error, &format!("no session: {why}"));
            PamReturn::Refused
        })
    }));
    outcome.unwrap_or(PamReturn::Refused).code()
}

fn open(pam: &Pam) -> Result<PamReturn, String> {
    let user = pam.user().ok_or("libpam does not say who logs in")?;
    let account = pam
        .account(&user)
        .ok_or_else(|| format!("there is no account `{}`", user.escape_debug()))?;
    if !account.shell.starts_with(SHELL_PREFIX) {
        return Ok(PamReturn::Ignore);
    }
    let group = pam.group(account.gid);
    let jail = group
        .as_deref()
        .and_then(|group| group.strip_prefix(GROUP_PREFIX))
        .ok_or_else(|| format!("the primary group of `{user}` is no jail's"))?;
    let from = pam.remote_host().unwrap_or_else(|| "unknown".to_owned());
    let whose = format!("jail {jail}, user {user}, from {}", from.escape_debug());
    let policy =
        Policy::load_for_user(jail, &user).map_err(|error| format!("{error} ({whose})"))?;
    for name in HOST_ENV {
        pam.unset(name);
    }
    if let Some(home) = account.home.strip_prefix(JAIL_ROOT) {
        pam.set("HOME", home);
    }
    open::new_session_keyring(account.uid, account.gid)
        .map_err(|error| format!("{error} ({whose})"))?;
    let counted_with_sshd = |error: Option<&dyn Display>| {
        if let Some(error) = error {
            let line = format!("no control group of its own: {error} ({whose})");
            pam.log(Priority::Error, &line);
        }
    };
    let Some(policy) = policy else {
        // A plain chroot, which is sshd's to make. What it uses is not to be taken from sshd, and no core of it reaches a handler of the host's.
        no_core_dumps().map_err(|error| format!("{error} ({whose})"))?;
        let error = leave_sshd(jail, &user).err();
        counted_with_sshd(error.as_ref().map(|error| error as _));
        pam.log(
            Priority::Info,
            &format!("session opened: {whose}, plain chroot"),
        );
        let open = SessionData {
            whose,
            _session: None,
        };
        return kept(pam, open);
    };
    let session =
        open::open(&policy, &user, Utmp::Mirrored).map_err(|error| format!("{error} ({whose})"))?;
    counted_with_sshd(session.in_sshds_group().map(|error| error as _));
    let mounts: Vec<String> = policy
        .mounts
        .iter()
        .map(|mount| mount.target.display().to_string())
        .collect();
    pam.log(
        Priority::Info,
        &format!(
            "session opened: {whose}, own {}, mounted {}",
            policy.summary(),
            mounts.join(" ")
        ),
    );
    let open = SessionData {
        whose,
        // sshd's process that becomes the user has a copy of whatever this one has open.
        _session: Some(session.into_counted()),
    };
    kept(pam, open)
}

/// Keeps the session until it ends.
fn kept(pam: &Pam, open: SessionData) -> Result<PamReturn, String> {
    if !pam.set_data(open) {
        return Err("libpam does not keep anything".to_owned());
    }
    Ok(PamReturn::Success)
}

/// What is left of the session ends with sshd's process for the connection, which ends next.
fn close(pam: &Pam) -> PamReturn {
    // SAFETY: the module stores no other type.
    let found = unsafe { pam.take_data::<SessionData>() };
    let Some(SessionData { whose, _session }) = found else {
        return PamReturn::Ignore;
    };
    pam.log(Priority::Info, &format!("session closed: {whose}"));
    PamReturn::Success
}

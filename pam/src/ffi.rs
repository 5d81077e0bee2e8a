//! Safe functions for the part of libpam that the module uses.

pub(crate) use std::ffi::c_char;
use std::ffi::{CStr, CString, c_int, c_void};
use std::marker::{PhantomData, PhantomPinned};
use std::ptr::{self, NonNull};

use jailctl_session::journal::{Entry, Event};

/// Opaque handle of libpam, `pam_handle_t`.
#[repr(C)]
#[derive(Debug)]
pub struct Handle {
    nothing: [u8; 0],
    unmovable: PhantomData<(*mut u8, PhantomPinned)>,
}

/// Name under which libpam stores the session between the two calls.
const DATA_NAME: &CStr = c"jailctl-session";

/// Constants of `_pam_types.h` of Linux-PAM.
const PAM_SUCCESS: c_int = 0;
const PAM_SESSION_ERR: c_int = 14;
const PAM_IGNORE: c_int = 25;
const PAM_SERVICE: c_int = 1;
const PAM_RHOST: c_int = 4;

type Cleanup = extern "C" fn(*mut Handle, *mut c_void, c_int);

#[link(name = "libpam.so.0", kind = "dylib", modifiers = "+verbatim")]
unsafe extern "C" {
    fn pam_get_user(handle: *mut Handle, user: *mut *const c_char, prompt: *const c_char) -> c_int;
    fn pam_get_item(handle: *const Handle, item: c_int, value: *mut *const c_void) -> c_int;
    fn pam_getenv(handle: *mut Handle, name: *const c_char) -> *const c_char;
    fn pam_putenv(handle: *mut Handle, name_value: *const c_char) -> c_int;
    fn pam_set_data(
        handle: *mut Handle,
        name: *const c_char,
        data: *mut c_void,
        cleanup: Option<Cleanup>,
    ) -> c_int;
    fn pam_get_data(handle: *const Handle, name: *const c_char, data: *mut *const c_void) -> c_int;
    fn pam_syslog(handle: *const Handle, priority: c_int, format: *const c_char, ...);
    fn pam_modutil_getpwnam(handle: *mut Handle, user: *const c_char) -> *mut libc::passwd;
    fn pam_modutil_getgrgid(handle: *mut Handle, gid: libc::gid_t) -> *mut libc::group;
}

/// Return value of a function of the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PamReturn {
    Success,
    Refused,
    Ignore,
}

impl PamReturn {
    pub(crate) fn code(self) -> c_int {
        match self {
            Self::Success => PAM_SUCCESS,
            Self::Refused => PAM_SESSION_ERR,
            Self::Ignore => PAM_IGNORE,
        }
    }
}

/// Priority of a line in the log: syslog(3).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Priority {
    Info,
    Error,
}

/// Jail and user that an entry of the log is about, as far as they are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    pub(crate) jail: Option<String>,
    pub(crate) user: Option<String>,
}

/// Fields of an account that the module uses.
pub(crate) struct Account {
    pub(crate) shell: String,
    pub(crate) home: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Access to libpam during one call of the module.
pub(crate) struct Pam(NonNull<Handle>);

impl Pam {
    /// Wraps a handle; `None` for a null pointer.
    ///
    /// # Safety
    /// A pointer that is not null is a handle that is valid as long as the value exists, and no
    /// other thread uses it.
    pub(crate) unsafe fn new(handle: *mut Handle) -> Option<Self> {
        NonNull::new(handle).map(Self)
    }

    fn handle(&self) -> *mut Handle {
        self.0.as_ptr()
    }

    /// Login name.
    pub(crate) fn user(&self) -> Option<String> {
        let mut user = ptr::null();
        // SAFETY: libpam sets `user` to a string that it owns, or does not change it. No prompt,
        // since sshd has set the user before.
        let code = unsafe { pam_get_user(self.handle(), &raw mut user, ptr::null()) };
        // SAFETY: as above; the string is copied at once.
        (code == PAM_SUCCESS)
            .then(|| unsafe { text(user) })
            .flatten()
    }

    /// Remote host of the connection.
    pub(crate) fn remote_host(&self) -> Option<String> {
        self.item(PAM_RHOST)
    }

    /// PAM service.
    fn service(&self) -> Option<String> {
        self.item(PAM_SERVICE)
    }

    /// Item of libpam that is a string: pam_get_item(3).
    fn item(&self, item: c_int) -> Option<String> {
        let mut value = ptr::null();
        // SAFETY: libpam sets `value` to a string that it owns, or to null: both items that are
        // queried are strings.
        let code = unsafe { pam_get_item(self.handle(), item, &raw mut value) };
        // SAFETY: as above; the string is copied at once.
        (code == PAM_SUCCESS)
            .then(|| unsafe { text(value.cast()) })
            .flatten()
    }

    /// Account of a login name.
    pub(crate) fn account(&self, user: &str) -> Option<Account> {
        let user = CString::new(user).ok()?;
        // SAFETY: a string that outlives the call. libpam owns the result, which is valid as long
        // as the handle.
        let found = unsafe { pam_modutil_getpwnam(self.handle(), user.as_ptr()).as_ref() }?;
        Some(Account {
            // SAFETY: a string in that result.
            shell: unsafe { text(found.pw_shell) }?,
            // SAFETY: likewise.
            home: unsafe { text(found.pw_dir) }?,
            uid: found.pw_uid,
            gid: found.pw_gid,
        })
    }

    /// Name of a group.
    pub(crate) fn group(&self, gid: u32) -> Option<String> {
        // SAFETY: as for an account.
        let found = unsafe { pam_modutil_getgrgid(self.handle(), gid).as_ref() }?;
        // SAFETY: a string in that result.
        unsafe { text(found.gr_name) }
    }

    /// Removes a variable from the environment of the session.
    pub(crate) fn unset(&self, name: &str) {
        if let Ok(name) = CString::new(name) {
            // SAFETY: a string that outlives both calls. libpam logs an error for a variable that
            // is not set.
            unsafe {
                if !pam_getenv(self.handle(), name.as_ptr()).is_null() {
                    pam_putenv(self.handle(), name.as_ptr());
                }
            }
        }
    }

    /// Sets a variable of the environment of the session: pam_putenv(3).
    pub(crate) fn set(&self, name: &str, value: &str) {
        if let Ok(line) = CString::new(format!("{name}={value}")) {
            // SAFETY: a string that outlives the call, of which libpam keeps a copy.
            unsafe { pam_putenv(self.handle(), line.as_ptr()) };
        }
    }

    /// Writes an entry into the log of the host: with its fields into the journal of systemd, or
    /// where there is none as a line by pam_syslog(3), whose beginning both have.
    pub(crate) fn log(
        &self,
        priority: Priority,
        event: Option<Event>,
        subject: &Subject,
        line: &str,
    ) {
        let priority = match priority {
            Priority::Info => libc::LOG_INFO,
            Priority::Error => libc::LOG_ERR,
        };
        let service = self.service().unwrap_or_default();
        let jails: Vec<&str> = subject.jail.iter().map(String::as_str).collect();
        let entry = Entry {
            event,
            priority: u8::try_from(priority).unwrap_or_default(),
            message: &format!("pam_jailctl({service}:session): {line}"),
            jails: &jails,
            user: subject.user.as_deref(),
        };
        if entry.send() {
            return;
        }
        // A line has no NUL: neither names from passwd(5) nor paths have one.
        let line = CString::new(line).unwrap_or_default();
        // SAFETY: the format has one conversion, for the string that follows it.
        unsafe { pam_syslog(self.handle(), priority, c"%s".as_ptr(), line.as_ptr()) };
    }

    /// Stores a value in libpam, for [`take_data`](Self::take_data). Returns `false` if libpam
    /// refuses it.
    pub(crate) fn set_data<T>(&self, value: T) -> bool {
        let data = Box::into_raw(Box::new(Some(value)));
        // SAFETY: libpam keeps the pointer, and passes it to `free_data` of the same type once.
        let code = unsafe {
            pam_set_data(
                self.handle(),
                DATA_NAME.as_ptr(),
                data.cast(),
                Some(free_data::<T>),
            )
        };
        if code != PAM_SUCCESS {
            // SAFETY: libpam has not taken the pointer, so it is still owned here.
            drop(unsafe { Box::from_raw(data) });
        }
        code == PAM_SUCCESS
    }

    /// The stored value; `None` if there is none, or if it was taken before.
    ///
    /// # Safety
    /// `T` is the type of every value that the module passes to [`set_data`](Self::set_data).
    pub(crate) unsafe fn take_data<T>(&self) -> Option<T> {
        let mut data = ptr::null();
        // SAFETY: libpam sets `data` to the pointer stored under this name, or does not change it.
        let code = unsafe { pam_get_data(self.handle(), DATA_NAME.as_ptr(), &raw mut data) };
        let data = data.cast_mut().cast::<Option<T>>();
        // SAFETY: only `set_data` stores anything under that name, with a value of this type as the
        // caller guarantees, and no other reference to it exists.
        (code == PAM_SUCCESS)
            .then(|| unsafe { data.as_mut() }?.take())
            .flatten()
    }
}

/// Drops the stored value. libpam calls this at its end, in whichever process that is: the session
/// itself does not depend on the value.
extern "C" fn free_data<T>(_handle: *mut Handle, data: *mut c_void, _status: c_int) {
    if !data.is_null() {
        // SAFETY: created by `set_data` with the same type, and passed to this function once.
        drop(unsafe { Box::from_raw(data.cast::<Option<T>>()) });
    }
}

/// A copy of a C string; `None` for null, and for a string that is not UTF-8.
///
/// # Safety
/// `text` is null or points to a string that ends in NUL.
unsafe fn text(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: guaranteed by the caller.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().ok().map(str::to_owned)
}

//! Names of hosts: the C function `getaddrinfo`, which std, tokio and whatever else resolves names ask, answers on a thread of
//! a run what the run says, and never asks anybody else.
//!
//! A name becomes an address in digits, and the C library does the rest: ports, flags, and the list that `freeaddrinfo` frees. A
//! name that the run does not know is `EAI_NONAME` at once. Addresses in digits and lookups without a name are left to the C
//! library.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

/// What the names of a run stand for.
pub(crate) trait Resolve: Send + Sync {
    /// What `name` stands for now. May wait, on a thread other than that of the run.
    fn resolve(&self, name: &str) -> Resolved;
}

/// What became of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// It stands for this address.
    Address(IpAddr),
    /// Nobody knows it.
    Unknown,
    /// The run has ended: the system is asked.
    Ended,
}

thread_local! {
    /// Whom this thread asks; the system if `None`.
    static NAMES: RefCell<Option<Arc<dyn Resolve>>> = const { RefCell::new(None) };
}

/// Whom the threads of a run ask.
pub(crate) struct Names;

impl Names {
    /// True if names can be looked up in a run on this system.
    pub(crate) const SUPPORTED: bool =
        cfg!(all(target_os = "linux", target_env = "gnu", not(target_feature = "crt-static")));

    /// Has the calling thread, and every thread that it starts from now on, ask `names`.
    pub(crate) fn ask_on_this_thread(names: Arc<dyn Resolve>) {
        #[cfg(all(target_os = "linux", target_env = "gnu", not(target_feature = "crt-static")))]
        std::hint::black_box((gnu::getaddrinfo as *const (), super::threads::pthread_create as *const ()));
        set(Some(names));
    }
}

/// Whom the calling thread asks.
#[cfg(all(target_os = "linux", target_env = "gnu", not(target_feature = "crt-static")))]
pub(super) fn get() -> Option<Arc<dyn Resolve>> {
    // A thread that is ending may have lost its own.
    NAMES.try_with(|names| names.borrow().clone()).ok().flatten()
}

pub(super) fn set(names: Option<Arc<dyn Resolve>>) {
    // What was there before is dropped outside the borrow.
    let _before = NAMES.try_with(|own| own.replace(names));
}

#[cfg(all(target_os = "linux", target_env = "gnu", not(target_feature = "crt-static")))]
mod gnu {
    use std::ffi::{CStr, CString, c_char, c_int};
    use std::mem::zeroed;
    use std::ptr;

    use libc::addrinfo;

    use super::{Resolved, get};
    use crate::c_library::threads::real;

    type GetAddrInfo = unsafe extern "C" fn(*const c_char, *const c_char, *const addrinfo, *mut *mut addrinfo) -> c_int;

    /// `getaddrinfo(3)`.
    ///
    /// # Safety
    /// As that of the C library.
    // SAFETY: it has the signature and the contract of the C library's function of this name.
    #[unsafe(no_mangle)]
    pub(super) unsafe extern "C" fn getaddrinfo(
        node: *const c_char,
        service: *const c_char,
        hints: *const addrinfo,
        found: *mut *mut addrinfo,
    ) -> c_int {
        // SAFETY: the C library's function has this type.
        let system: GetAddrInfo = unsafe { std::mem::transmute(real(c"getaddrinfo")) };
        // SAFETY: the caller's promise: null or a string.
        let name = (!node.is_null()).then(|| unsafe { CStr::from_ptr(node) });
        // SAFETY: the caller's promise: null or hints.
        let wanted = unsafe { hints.as_ref() };
        let digits = wanted.is_some_and(|hints| hints.ai_flags & libc::AI_NUMERICHOST != 0);
        let resolved = match (name, get()) {
            (Some(name), Some(names)) if !digits => match name.to_str() {
                Ok(name) if model::hosts::literal(name).is_some() || name.contains('%') => Resolved::Ended,
                Ok(name) => names.resolve(name),
                Err(_) => Resolved::Unknown,
            },
            _ => Resolved::Ended,
        };
        match resolved {
            Resolved::Unknown => libc::EAI_NONAME,
            // SAFETY: the caller's promise is passed on.
            Resolved::Ended => unsafe { system(node, service, hints, found) },
            Resolved::Address(ip) => {
                // SAFETY: all of its fields may be zero or null, which is what no hints mean.
                let mut hints = wanted.copied().unwrap_or_else(|| unsafe { zeroed() });
                hints.ai_flags = (hints.ai_flags | libc::AI_NUMERICHOST) & !libc::AI_ADDRCONFIG;
                let Ok(digits) = CString::new(ip.to_string()) else { return libc::EAI_NONAME };
                // SAFETY: the caller's promise is passed on, with a string and hints that outlive the call.
                unsafe { system(digits.as_ptr(), service, ptr::from_ref(&hints), found) }
            }
        }
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu", not(target_feature = "crt-static")))]
mod tests {
    use std::net::{SocketAddr, ToSocketAddrs as _};

    use super::*;

    struct One;

    impl Resolve for One {
        fn resolve(&self, name: &str) -> Resolved {
            match name {
                "db" => Resolved::Address(IpAddr::from([127, 1, 2, 3])),
                "six" => Resolved::Address("::1".parse().unwrap()),
                "localhost" => Resolved::Ended,
                _ => Resolved::Unknown,
            }
        }
    }

    fn look_up(name: &str) -> Vec<String> {
        let found = (name, 7).to_socket_addrs().map(Iterator::collect::<Vec<SocketAddr>>);
        found.unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_thread_and_those_that_it_starts_ask_the_run() {
        let look_around = || {
            assert_eq!(look_up("db"), ["127.1.2.3:7"]);
            assert_eq!(look_up("six"), ["[::1]:7"]);
            assert_eq!(look_up("127.0.0.9"), ["127.0.0.9:7"]);
            assert_eq!(look_up("no.such"), Vec::<String>::new());
            assert!(!look_up("localhost").is_empty());
        };
        std::thread::spawn(move || {
            Names::ask_on_this_thread(Arc::new(One));
            look_around();
            std::thread::spawn(move || {
                look_around();
                std::thread::Builder::new().name("third".to_owned()).spawn(look_around).unwrap().join().unwrap();
            })
            .join()
            .unwrap();
        })
        .join()
        .unwrap();
        // Any other thread asks the system.
        std::thread::spawn(|| assert!(!look_up("localhost").is_empty())).join().unwrap();
        assert!(get().is_none());
    }
}

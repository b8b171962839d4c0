//! Threads: the C function `pthread_create`, which std starts threads by. A thread asks for names whom the one asks that started
//! it: so do the threads on which tokio looks names up, those of a pool of connections, and those of a client of its own.

use std::ffi::{CStr, c_int, c_void};
use std::sync::Arc;

use libc::{pthread_attr_t, pthread_t};

use super::resolver::{Resolve, get, set};

/// What a thread begins with.
type Start = extern "C" fn(*mut c_void) -> *mut c_void;

type PthreadCreate = unsafe extern "C" fn(*mut pthread_t, *const pthread_attr_t, Start, *mut c_void) -> c_int;

/// What a thread of a run is started with.
struct Begin {
    names: Arc<dyn Resolve>,
    start: Start,
    argument: *mut c_void,
}

/// The C library's own function of this name.
pub(super) fn real(name: &CStr) -> *mut c_void {
    // SAFETY: the name is a string.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    assert!(!found.is_null(), "the C library has no {name:?}");
    found
}

/// `pthread_create(3)`.
///
/// # Safety
/// As that of the C library.
// SAFETY: it has the signature and the contract of the C library's function of this name.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn pthread_create(
    thread: *mut pthread_t,
    attributes: *const pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: the C library's function has this type.
    let system: PthreadCreate = unsafe { std::mem::transmute(real(c"pthread_create")) };
    let Some(names) = get() else {
        // SAFETY: the caller's promise is passed on.
        return unsafe { system(thread, attributes, start, argument) };
    };
    let begin = Box::into_raw(Box::new(Begin { names, start, argument }));
    // SAFETY: the caller's promise is passed on; `begin_thread` takes what it is given here.
    let result = unsafe { system(thread, attributes, begin_thread, begin.cast()) };
    if result != 0 {
        // SAFETY: no thread was started, so it is still ours.
        drop(unsafe { Box::from_raw(begin) });
    }
    result
}

/// The first thing on a thread of a run.
extern "C" fn begin_thread(begin: *mut c_void) -> *mut c_void {
    // SAFETY: `pthread_create` gives each thread a box of its own.
    let begin = unsafe { Box::from_raw(begin.cast::<Begin>()) };
    let Begin { names, start, argument } = *begin;
    set(Some(names));
    start(argument)
}

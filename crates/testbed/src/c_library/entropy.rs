//! Seeded entropy: the C functions `getrandom` and `getentropy`, which std and the crates `getrandom` and `rand` draw
//! from, answer on a seeded thread from that seed. So a client's choice of replica, its jitter and the order of its
//! `HashMap`s repeat.
//!
//! The crate `fastrand`, which redis-rs takes its jitter from, seeds itself from the clock and the thread's number instead,
//! so its generator of the thread is seeded by name. So is tokio's, which [`Run`](crate::Run) seeds where it builds the
//! runtime.
//!
//! Both std and `rand` keep a generator per thread that is seeded once, at its first use. So seed a fresh thread, before
//! anything else happens on it; what runs on another thread is not affected.

use std::cell::RefCell;
use std::marker::PhantomData;

use model::{Rng, Seed};

thread_local! {
    /// The generator of a seeded thread. Without a destructor, so that it can be asked until the thread's very end.
    static GENERATOR: RefCell<Option<Rng>> = const { RefCell::new(None) };
}

/// The thread's entropy is seeded as long as this lives.
#[must_use = "the thread is seeded only as long as the guard lives"]
pub struct Entropy {
    /// The guard belongs to its thread.
    not_send: PhantomData<*const ()>,
}

impl Entropy {
    /// Seeds the entropy of the calling thread, which should be a fresh one. Replaces a seed that it had.
    pub fn seed_thread(seed: Seed) -> Self {
        #[cfg(target_os = "linux")]
        std::hint::black_box((linux::getrandom as *const (), linux::getentropy as *const ()));
        GENERATOR.with_borrow_mut(|generator| *generator = Some(seed.stream("entropy")));
        fastrand::seed(seed.derive("fastrand").0);
        Self { not_send: PhantomData }
    }
}

impl Drop for Entropy {
    fn drop(&mut self) {
        GENERATOR.with_borrow_mut(|generator| *generator = None);
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::{c_int, c_uint, c_void};

    use rand::Rng as _;

    use super::GENERATOR;

    /// Most that `getentropy` gives at a time.
    const GETENTROPY_MAX: usize = 256;

    /// Fills the memory from the thread's generator; false if it has none.
    ///
    /// # Safety
    /// `buffer` must be valid for writes of `len` bytes.
    unsafe fn fill(buffer: *mut c_void, len: usize) -> bool {
        GENERATOR.with_borrow_mut(|generator| {
            let Some(generator) = generator else { return false };
            if len > 0 {
                // SAFETY: the caller promises that the memory can be written. It may be uninitialised, so it is zeroed
                // before it is looked at as a slice.
                let bytes = unsafe {
                    buffer.cast::<u8>().write_bytes(0, len);
                    std::slice::from_raw_parts_mut(buffer.cast::<u8>(), len)
                };
                generator.fill_bytes(bytes);
            }
            true
        })
    }

    /// `getrandom(2)`: fills the buffer and returns how many bytes it wrote, or -1 with `errno` set.
    ///
    /// # Safety
    /// `buffer` must be valid for writes of `len` bytes.
    // SAFETY: it has the signature and the contract of the C library's function of this name.
    #[unsafe(no_mangle)]
    pub(super) unsafe extern "C" fn getrandom(buffer: *mut c_void, len: usize, flags: c_uint) -> isize {
        // SAFETY: the caller's promise is passed on.
        if unsafe { fill(buffer, len) } {
            return len as isize;
        }
        // SAFETY: the system call has the same contract.
        unsafe { libc::syscall(libc::SYS_getrandom, buffer, len, flags) as isize }
    }

    /// `getentropy(3)`: fills the buffer and returns 0, or -1 with `errno` set.
    ///
    /// # Safety
    /// `buffer` must be valid for writes of `len` bytes.
    // SAFETY: it has the signature and the contract of the C library's function of this name.
    #[unsafe(no_mangle)]
    pub(super) unsafe extern "C" fn getentropy(buffer: *mut c_void, len: usize) -> c_int {
        if len > GETENTROPY_MAX {
            // SAFETY: `errno` of the own thread can always be written.
            unsafe { *libc::__errno_location() = libc::EIO };
            return -1;
        }
        // SAFETY: the caller's promise is passed on. Up to 256 bytes come in one piece.
        if unsafe { getrandom(buffer, len, 0) } == len as isize { 0 } else { -1 }
    }
}

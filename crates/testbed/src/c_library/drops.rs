//! Attempts to connect that the kernel dropped at a listening socket: the one trace of who dials where nobody answers.

use socket2::Socket;

/// How many attempts to connect the kernel has dropped at this listening socket, those that it repeated by itself among them.
/// Always 0 on systems other than Linux, which do not tell.
#[cfg(target_os = "linux")]
pub(crate) fn dropped(listener: &Socket) -> u32 {
    use std::os::fd::AsRawFd as _;

    /// `SK_MEMINFO_VARS` and `SK_MEMINFO_DROPS` of `linux/sock_diag.h`.
    const VARIABLES: usize = 9;
    const DROPS: usize = 8;
    let mut values = [0_u32; VARIABLES];
    let mut size = size_of_val(&values) as libc::socklen_t;
    // SAFETY: the descriptor is open, and the kernel writes no more than `size` bytes, which `values` has.
    let result = unsafe {
        let values = values.as_mut_ptr().cast();
        libc::getsockopt(listener.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO, values, &raw mut size)
    };
    if result == 0 { values[DROPS] } else { 0 }
}

/// As above.
#[cfg(not(target_os = "linux"))]
pub(crate) fn dropped(_listener: &Socket) -> u32 {
    0
}

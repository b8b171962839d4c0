//! The functions of the C library that stand between an unmodified client and what a run must decide, randomness and
//! names, and what the kernel knows of that client and no crate asks it.
//!
//! | module | holds |
//! |---|---|
//! | [`drops`] | `getsockopt`: who dialled where nobody answers |
//! | [`entropy`] | `getrandom` and `getentropy`, seeded: [`Entropy`](entropy::Entropy) |
//! | [`resolver`] | `getaddrinfo`, which asks the world: [`Names`](resolver::Names) |
//! | [`threads`] | `pthread_create`, by which a thread asks whom the one asks that started it |
//!
//! Those of the last three stand in for those of the C library in every program that links this crate, with no linker argument: a
//! static reference finds them because a function of this crate refers to them, and `dlsym`, which the crate `getrandom`
//! uses, finds them because a linker exports what a shared library defines too. On a thread that belongs to no run they do
//! what the C library does.
//!
//! On systems other than Linux nothing is replaced: runs are repeatable only as far as the client draws no randomness, and a
//! client cannot look the names of a run up. Names need the GNU C library, linked dynamically, too.
//!
//! This is the one module of the project with `unsafe`.
#![allow(unsafe_code)]

pub(crate) mod drops;
pub(crate) mod entropy;
pub(crate) mod resolver;
#[cfg(all(target_os = "linux", target_env = "gnu", not(target_feature = "crt-static")))]
mod threads;

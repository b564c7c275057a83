//! The calls of this crate's process handling that have no safe form.

use nix::errno::Errno;
use nix::sys::mman::{MmapAdvise, madvise};
use nix::sys::signal::SigSet;
use nix::unistd::ForkResult;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr::{self, NonNull};

/// Splits unix time, in seconds, into the fields of the local time zone; `None` beyond the years that libc can tell.
#[allow(unsafe_code)] // std knows no time zones
pub(crate) fn local_time(unix: i64) -> Option<libc::tm> {
    let unix = libc::time_t::try_from(unix).ok()?;
    let mut fields = MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers are valid for the call, which keeps neither. The environment, which it reads for TZ, is
    // never written by this program.
    let done = unsafe { libc::localtime_r(&unix, fields.as_mut_ptr()) };
    if done.is_null() {
        return None;
    }
    // SAFETY: localtime_r reported success, so it filled all fields in.
    Some(unsafe { fields.assume_init() })
}

/// Forks; refused with `EBUSY` while the process has more than one thread, as only the calling one would go on and
/// a lock held by another would stay locked for ever.
#[allow(unsafe_code)] // std can only start other programs
pub(crate) fn fork() -> Result<ForkResult, Errno> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads != 1 {
        return Err(Errno::EBUSY);
    }
    // SAFETY: there is one thread, so the child's memory is in a state that it can go on with.
    unsafe { nix::unistd::fork() }
}

/// Lets the program start with no signal blocked; without this it would inherit the mask of the calling thread.
#[allow(unsafe_code)] // the mask can only be changed in the child
pub(crate) fn unblock_signals(command: &mut Command) -> &mut Command {
    // SAFETY: the closure runs between fork and exec, where only async-signal-safe functions may be called. It calls
    // pthread_sigmask, which is one, and touches no memory but its own stack.
    unsafe { command.pre_exec(|| Ok(SigSet::empty().thread_set_mask()?)) }
}

/// Gives back the memory that the main thread's stack took in deeper calls than this one; they get zeroes when they come
/// back.
#[allow(unsafe_code)] // nothing can be said about the stack in safe words
pub(crate) fn give_back_stack() {
    /// More than the calls from here on take.
    const KEPT: usize = 16 << 10;
    let here = 0_u8;
    let here = ptr::from_ref(&here).addr();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    // The only stack that is marked: that of another thread may be one piece with other memory.
    let stack = maps.lines().find(|line| line.ends_with("[stack]")).and_then(|line| {
        let (begin, end) = line.split(' ').next()?.split_once('-')?;
        Some(usize::from_str_radix(begin, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
    });
    let Some(stack) = stack.filter(|stack| stack.contains(&here)) else { return };
    let page = rustix::param::page_size();
    let end = here.saturating_sub(KEPT) / page * page;
    let Some(len) = end.checked_sub(stack.start) else { return };
    let Some(begin) = NonNull::new(ptr::with_exposed_provenance_mut::<c_void>(stack.start)) else { return };
    // SAFETY: this is the stack of the calling thread, and all of it lies below the frames in use: nobody reads it before
    // it is written again. Locked memory is refused and stays.
    let _ = unsafe { madvise(begin, len, MmapAdvise::MADV_DONTNEED) };
}

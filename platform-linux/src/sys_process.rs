//! The calls of this crate's process handling that have no safe form.

use crate::signals;
use nix::errno::Errno;
use nix::sys::mman::{MmapAdvise, madvise};
use nix::sys::signal::{SigHandler, SigSet, signal};
use nix::unistd::ForkResult;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ops::Range;
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

/// Lets the program start with no signal blocked and the default action for those that this program takes; without this
/// it would inherit the mask of the calling thread, and what, say, `nohup` has this program ignore.
#[allow(unsafe_code)] // mask and actions can only be changed in the child
pub(crate) fn default_signals(command: &mut Command) -> &mut Command {
    let defaults = || {
        for number in signals::taken() {
            // SAFETY: there is no handler to be lost, as none is ever set.
            unsafe { signal(number, SigHandler::SigDfl) }?;
        }
        Ok(SigSet::empty().thread_set_mask()?)
    };
    // SAFETY: the closure runs between fork and exec, where only async-signal-safe functions may be called. It calls
    // sigaction and pthread_sigmask, which are, and touches no memory but its own stack.
    unsafe { command.pre_exec(defaults) }
}

/// Gives back what a start or a handshake took and a running link does not need: the main thread's stack below this call,
/// which is zero when it comes back, and the mapping of the code, of which each page comes back with its next use.
#[allow(unsafe_code)] // nothing can be said about the stack or the code in safe words
pub(crate) fn give_back_start() {
    /// More than the calls from here on take of the stack.
    const KEPT: usize = 16 << 10;
    let here = 0_u8;
    let here = ptr::from_ref(&here).addr();
    let page = rustix::param::page_size();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (Some(range), Some(rights), Some(name)) = (fields.next(), fields.next(), fields.nth(3)) else { continue };
        let Some(range) = address_range(range) else { continue };
        let end = match name {
            // The only stack that is marked: that of another thread may be one piece with other memory.
            "[stack]" if range.contains(&here) => here.saturating_sub(KEPT) / page * page,
            file if file.starts_with('/') && rights == "r-xp" => range.end,
            _ => continue,
        };
        let Some(len) = end.checked_sub(range.start) else { continue };
        let Some(begin) = NonNull::new(ptr::with_exposed_provenance_mut::<c_void>(range.start)) else { continue };
        // SAFETY: of the calling thread's stack, this is what lies below the frames in use: nobody reads it before it is
        // written again. Code that cannot be written is what its file has, from which it is read again. Locked memory is
        // refused and stays.
        let _ = unsafe { madvise(begin, len, MmapAdvise::MADV_DONTNEED) };
    }
}

/// `BEGIN-END` in hexadecimal.
fn address_range(text: &str) -> Option<Range<usize>> {
    let (begin, end) = text.split_once('-')?;
    Some(usize::from_str_radix(begin, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
}

//! The calls of this crate's networking that neither std nor nix nor socket2 offers.

use std::ffi::{CStr, c_char, c_int, c_uint};
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use socket2::SockAddr;

/// The most bytes that an interface name has.
pub(crate) const NAME_MAX: usize = libc::IFNAMSIZ - 1;

mod ioctl {
    nix::ioctl_readwrite_bad!(set_interface, libc::TUNSETIFF, libc::ifreq);
    nix::ioctl_write_int_bad!(set_persist, libc::TUNSETPERSIST);
    nix::ioctl_write_int_bad!(set_owner, libc::TUNSETOWNER);
    nix::ioctl_write_int_bad!(set_group, libc::TUNSETGROUP);
    nix::ioctl_write_int_bad!(set_offload, libc::TUNSETOFFLOAD);
    nix::ioctl_write_ptr_bad!(set_header_size, libc::TUNSETVNETHDRSZ, libc::c_int);
}

/// Joins an open TUN node to the interface `name`, which is made when there is none, and returns the name that it
/// has: `%d` in `name` stands for the first free number. EINVAL for a name longer than [`NAME_MAX`].
pub(crate) fn tun_set_interface(node: BorrowedFd<'_>, name: &str, flags: c_int) -> Result<String, Errno> {
    if name.len() > NAME_MAX {
        return Err(Errno::EINVAL);
    }
    // SAFETY: ifreq is plain old data, for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as c_char;
    }
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: the descriptor is open, and the kernel reads and writes one ifreq, which outlives the call.
    unsafe { ioctl::set_interface(node.as_raw_fd(), &mut request) }?;
    let name: Vec<u8> = request.ifr_name.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0).collect();
    Ok(String::from_utf8_lossy(&name).into_owned())
}

/// Keeps the interface of a TUN descriptor when the descriptor is closed, or no longer does.
pub(crate) fn tun_set_persist(tun: BorrowedFd<'_>, persist: bool) -> Result<(), Errno> {
    // SAFETY: the descriptor is open, and the argument is a number.
    unsafe { ioctl::set_persist(tun.as_raw_fd(), c_int::from(persist)) }.map(drop)
}

/// Lets a user open the interface of a TUN descriptor without further rights.
pub(crate) fn tun_set_owner(tun: BorrowedFd<'_>, user: libc::uid_t) -> Result<(), Errno> {
    // SAFETY: the descriptor is open, and the argument is a number.
    unsafe { ioctl::set_owner(tun.as_raw_fd(), user as c_int) }.map(drop)
}

/// Lets a group open the interface of a TUN descriptor without further rights.
pub(crate) fn tun_set_group(tun: BorrowedFd<'_>, group: libc::gid_t) -> Result<(), Errno> {
    // SAFETY: the descriptor is open, and the argument is a number.
    unsafe { ioctl::set_group(tun.as_raw_fd(), group as c_int) }.map(drop)
}

/// Sets which kinds of large packets the descriptor's reader takes (`TUN_F_...`). EINVAL for what the kernel lacks.
pub(crate) fn tun_set_offload(tun: BorrowedFd<'_>, offloads: c_uint) -> Result<(), Errno> {
    // SAFETY: the descriptor is open, and the argument is a number.
    unsafe { ioctl::set_offload(tun.as_raw_fd(), offloads as c_int) }.map(drop)
}

/// Sets how many bytes of `struct virtio_net_hdr` precede each packet.
pub(crate) fn tun_set_header_size(tun: BorrowedFd<'_>, size: c_int) -> Result<(), Errno> {
    // SAFETY: the descriptor is open, and the kernel reads one number, which outlives the call.
    unsafe { ioctl::set_header_size(tun.as_raw_fd(), &raw const size) }.map(drop)
}

/// Sets a socket option that takes a number.
pub(crate) fn set_option(socket: BorrowedFd<'_>, level: c_int, option: c_int, value: c_int) -> Result<(), Errno> {
    let size = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the descriptor is open, and the kernel reads `size` bytes of a number that outlives the call.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), size) };
    Errno::result(result).map(drop)
}

/// How many datagrams [`send_each`] sends at most.
pub(crate) const SEND_EACH_MAX: usize = 64;

/// Sends datagrams with one call and returns how many; an error is that of the first.
pub(crate) fn send_each(socket: BorrowedFd<'_>, datagrams: &[IoSlice<'_>], to: &SockAddr) -> io::Result<usize> {
    // SAFETY: mmsghdr is plain old data, for which all zeroes is a value.
    let mut messages: [libc::mmsghdr; SEND_EACH_MAX] = unsafe { std::mem::zeroed() };
    let mut count = 0;
    for (message, datagram) in messages.iter_mut().zip(datagrams) {
        message.msg_hdr.msg_name = to.as_ptr().cast_mut().cast();
        message.msg_hdr.msg_namelen = to.len();
        // An IoSlice has the layout of iovec.
        message.msg_hdr.msg_iov = std::ptr::from_ref(datagram).cast_mut().cast();
        message.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    // SAFETY: the descriptor is open; the kernel reads `count` messages, and what they point to outlives the call.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), count, 0) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// The C library's words for an error number, as other programs show it.
pub(crate) fn errno_text(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    text.rsplit_once(" (os error").map_or(text.as_str(), |(text, _)| text).to_owned()
}

/// The error number of a failed system call.
pub(crate) fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or_default())
}

/// The C library's words for an error of getaddrinfo.
pub(crate) fn lookup_error_text(code: c_int) -> String {
    // SAFETY: gai_strerror takes any number and returns a string that is never freed.
    unsafe { CStr::from_ptr(libc::gai_strerror(code)) }.to_string_lossy().into_owned()
}

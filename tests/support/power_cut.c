// The power goes as the first datagram is about to be sent: exit status 42 if a file was put on the disk before, else 43.
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int synced;

int fdatasync(int fd) {
  synced = 1;
  return (int)syscall(SYS_fdatasync, fd);
}

ssize_t sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *to, socklen_t to_length) {
  if (to != NULL && (to->sa_family == AF_INET || to->sa_family == AF_INET6)) {
    _exit(synced ? 42 : 43);
  }
  return syscall(SYS_sendto, fd, data, length, flags, to, to_length);
}

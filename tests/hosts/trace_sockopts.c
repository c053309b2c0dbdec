/* examples/trace_sockopts for systems on which a library with std in it does not load (musl, an
   older glibc): the options that the tests set, printed the same way. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
    int (*next)(int, int, int, const void *, socklen_t) = dlsym(RTLD_NEXT, "setsockopt");
    int result = next(fd, level, name, value, length), error = errno;
    const char *option = level == SOL_SOCKET && name == SO_KEEPALIVE ? "SOL_SOCKET, SO_KEEPALIVE"
        : level != IPPROTO_TCP ? "?"
        : name == TCP_KEEPCNT ? "IPPROTO_TCP, TCP_KEEPCNT"
        : name == TCP_KEEPIDLE ? "IPPROTO_TCP, TCP_KEEPIDLE"
        : name == TCP_KEEPINTVL ? "IPPROTO_TCP, TCP_KEEPINTVL"
        : name == TCP_USER_TIMEOUT ? "IPPROTO_TCP, TCP_USER_TIMEOUT" : "?";
    dprintf(2, "setsockopt(%d, %s, %d) = %d\n", fd, option, *(const int *)value, result);
    errno = error;
    return result;
}

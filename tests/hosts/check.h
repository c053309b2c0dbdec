/* What the programs of the hostile suite share. They are started with KEEPCNT=20 KEEPIDLE=180
   KEEPINTVL=60. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* No call sets errno to this. */
#define UNTOUCHED 4242

/* The errors that the programs come upon. */
static inline const char *error_name(int error)
{
    switch (error) {
    case EBADF: return "EBADF";
    case EINTR: return "EINTR";
    case EISCONN: return "EISCONN";
    case EMFILE: return "EMFILE";
    case EPERM: return "EPERM";
    default: return strerror(error);
    }
}

static inline int get_option(int fd, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    return getsockopt(fd, level, name, &value, &length) ? -1 : value;
}

/* Whether a socket has what the environment asked for. */
static inline int has_settings(int fd)
{
    return get_option(fd, SOL_SOCKET, SO_KEEPALIVE) == 1
        && get_option(fd, IPPROTO_TCP, TCP_KEEPCNT) == 20
        && get_option(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 180
        && get_option(fd, IPPROTO_TCP, TCP_KEEPINTVL) == 60;
}

/* Prints a socket's options, unbuffered: whatever happens next, the line is out. */
static inline void print_options(const char *what, int fd)
{
    dprintf(1, "%s: SO_KEEPALIVE=%d TCP_KEEPCNT=%d TCP_KEEPIDLE=%d TCP_KEEPINTVL=%d\n", what,
            get_option(fd, SOL_SOCKET, SO_KEEPALIVE), get_option(fd, IPPROTO_TCP, TCP_KEEPCNT),
            get_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), get_option(fd, IPPROTO_TCP, TCP_KEEPINTVL));
}

/* For what the situation needs but is not about: it must work. */
static inline int must(const char *what, int result)
{
    if (result < 0) {
        perror(what);
        exit(2);
    }
    return result;
}

/* A socket with a free port of the loopback interface, which nobody else can take meanwhile. It does
   not listen: whoever connects to it is refused. */
static inline int bound_on(struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    *address = (struct sockaddr_in){};
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    must("bind", bind(fd, (struct sockaddr *)address, length));
    must("getsockname", getsockname(fd, (struct sockaddr *)address, &length));
    return fd;
}

/* A TCP listener on a free port of the loopback, and its address. */
static inline int listener_on(struct sockaddr_in *address, int backlog)
{
    int fd = bound_on(address);
    must("listen", listen(fd, backlog));
    return fd;
}

/* How many descriptors are open. */
static inline int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 4096; fd++) {
        int error = errno;
        count += dup2(fd, fd) == fd;
        errno = error;
    }
    return count;
}

/* A preload behind the library that knows a protocol of its own: socket() with protocol 132 (SCTP)
   gives a TCP socket, so that a test can see whether the library takes it for one. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/socket.h>

int socket(int domain, int type, int protocol)
{
    int (*next)(int, int, int) = dlsym(RTLD_NEXT, "socket");
    return next(domain, type, protocol == 132 ? 0 : protocol);
}

/* A shared library that opens a socket when it is asked to: through its own reference to socket(),
   which whoever loads it resolves. */

#include <sys/socket.h>

int open_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0);
}

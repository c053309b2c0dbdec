/* Leaves its root directory for the one that the argument names, where there is nothing, and
   its privileges, as services do. */

#define _GNU_SOURCE
#include "check.h"

int main(int count, char **arguments)
{
    if (count < 2)
        return 2;
    must("chroot", chroot(arguments[1]));
    must("chdir", chdir("/"));
    must("setgid", setgid(65534));
    must("setuid", setuid(65534));
    struct sockaddr_in address;
    int listener = listener_on(&address, 9);
    int client = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    must("connect", connect(client, (struct sockaddr *)&address, sizeof address));
    print_options("created", client);
    print_options("accepted", must("accept", accept(listener, NULL, NULL)));
    return 0;
}

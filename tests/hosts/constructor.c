/* A shared library that uses sockets in its constructor and in its destructor. */

#define _GNU_SOURCE
#include "check.h"

static void use_sockets(const char *when)
{
    char what[40];
    struct sockaddr_in address;
    dprintf(2, "%s begins\n", when);
    int listener = listener_on(&address, 1);
    snprintf(what, sizeof what, "%s, created", when);
    print_options(what, listener);
    int client = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    must("connect", connect(client, (struct sockaddr *)&address, sizeof address));
    snprintf(what, sizeof what, "%s, connected", when);
    print_options(what, client);
    int accepted = must("accept", accept(listener, NULL, NULL));
    snprintf(what, sizeof what, "%s, accepted", when);
    print_options(what, accepted);
    close(accepted), close(client), close(listener);
}

__attribute__((constructor)) static void constructor(void)
{
    use_sockets("constructor");
}

__attribute__((destructor)) static void destructor(void)
{
    use_sockets("destructor");
}

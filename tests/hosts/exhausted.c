/* No descriptor is left: every call fails as it does without the library, and works again as
   soon as there is one. */

#define _GNU_SOURCE
#include "check.h"
#include <sys/resource.h>

static int report(const char *call, int result)
{
    int error = errno;
    dprintf(1, "%s: %s\n", call, result >= 0 ? "succeeded" : error_name(error));
    return result;
}

int main(void)
{
    struct rlimit limit = {20, 20};
    for (int fd = 3; fd < 20; fd++)
        close(fd);
    struct sockaddr_in address;
    int listener = listener_on(&address, 9), opened = 0, fd, last = -1;
    int client = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    must("setrlimit", setrlimit(RLIMIT_NOFILE, &limit));
    while ((fd = socket(AF_INET, SOCK_STREAM, 0)) >= 0)
        last = fd, opened++;
    report("socket", fd);
    report("connect", connect(client, (struct sockaddr *)&address, sizeof address));
    report("accept", accept(listener, NULL, NULL));
    report("accept4", accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    close(last);
    print_options("accepted", accept(listener, NULL, NULL));
    close(last);
    print_options("created", socket(AF_INET, SOCK_STREAM, 0));
    dprintf(1, "opened=%d\n", opened);
    return 0;
}

/* Opens, connects and accepts without a look at any option, on the kind of socket that the
   argument names, `tcp` or `unix`; prints what came of each call. */

#define _GNU_SOURCE
#include "check.h"
#include <sys/un.h>

static int report(const char *call, int result)
{
    if (result >= 0 && errno == UNTOUCHED)
        printf("%s: succeeded\n", call);
    else if (result >= 0)
        printf("%s: succeeded, errno became %d\n", call, errno);
    else
        printf("%s: %s\n", call, error_name(errno));
    fflush(stdout);
    errno = UNTOUCHED;
    return result;
}

int main(int count, char **arguments)
{
    int domain = count > 1 && !strcmp(arguments[1], "unix") ? AF_UNIX : AF_INET;
    struct sockaddr_storage address = {.ss_family = domain};
    socklen_t size = domain == AF_UNIX ? sizeof(sa_family_t) : sizeof(struct sockaddr_in);
    socklen_t length = sizeof address;
    errno = UNTOUCHED;
    int listener = report("socket", socket(domain, SOCK_STREAM, 0));
    must("bind", bind(listener, (struct sockaddr *)&address, size));
    must("listen", listen(listener, 9));
    must("getsockname", getsockname(listener, (struct sockaddr *)&address, &length));
    int client = report("socket", socket(domain, SOCK_STREAM, 0));
    report("connect", connect(client, (struct sockaddr *)&address, length));
    report("connect again", connect(client, (struct sockaddr *)&address, length));
    report("accept", accept(listener, NULL, NULL));
    client = report("socket", socket(domain, SOCK_STREAM, 0));
    report("connect", connect(client, (struct sockaddr *)&address, length));
    report("accept4", accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    report("accept of none", accept(-1, NULL, NULL));
    return 0;
}

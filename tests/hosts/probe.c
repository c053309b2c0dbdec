/* Makes the calls that its arguments name, one after the other, and prints what came of each:
   the result, the error's name, and whether a successful call changed errno.

   There is one current socket, the one created or accepted last, and one listener. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS 44
#endif

/* No call sets errno to this. */
#define UNTOUCHED 4242

static const struct { const char *name; int value; } constants[] = {
    {"AF_INET", AF_INET}, {"AF_INET6", AF_INET6}, {"AF_UNIX", AF_UNIX},
    {"SOCK_STREAM", SOCK_STREAM}, {"SOCK_DGRAM", SOCK_DGRAM}, {"SOCK_RAW", SOCK_RAW},
    {"SOCK_NONBLOCK", SOCK_NONBLOCK}, {"SOCK_CLOEXEC", SOCK_CLOEXEC},
    {"IPPROTO_TCP", IPPROTO_TCP}, {"IPPROTO_UDP", IPPROTO_UDP}, {"IPPROTO_MPTCP", IPPROTO_MPTCP},
};

static const struct { const char *name; int level, number; } options[] = {
    {"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE},
    {"TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT},
    {"TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE},
    {"TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL},
    {"TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT},
    {"TCP_RTO_MAX_MS", IPPROTO_TCP, TCP_RTO_MAX_MS},
    {"TCP_SYNCNT", IPPROTO_TCP, TCP_SYNCNT},
    {"TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY},
    {"SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR},
};

static int current = -1, listener = -1;
static struct sockaddr_storage address;
static socklen_t address_length;

static const char *error_name(int error)
{
    static char number[16];
    switch (error) {
#define NAME(name) case name: return #name;
    NAME(EACCES) NAME(EAFNOSUPPORT) NAME(EAGAIN) NAME(EBADF) NAME(ECONNREFUSED) NAME(EFAULT)
    NAME(EINPROGRESS) NAME(EINVAL) NAME(EISCONN) NAME(EMFILE) NAME(ENOPROTOOPT) NAME(ENOTSOCK)
    NAME(EOPNOTSUPP) NAME(EPERM) NAME(EPROTONOSUPPORT) NAME(ESOCKTNOSUPPORT)
#undef NAME
    }
    snprintf(number, sizeof number, "errno %d", error);
    return number;
}

/* A number, a name, or several of them joined by `|`. */
static int constant(const char *word)
{
    int value = 0;
    char copy[100], *rest = copy, *part;
    snprintf(copy, sizeof copy, "%s", word);
    while ((part = strsep(&rest, "|"))) {
        char *end;
        long number = strtol(part, &end, 0);
        for (size_t i = 0; *end && i < sizeof constants / sizeof *constants; i++)
            if (!strcmp(part, constants[i].name))
                number = constants[i].value, end = "";
        if (*end) {
            fprintf(stderr, "probe: %s: unknown\n", part);
            exit(2);
        }
        value |= number;
    }
    return value;
}

static int option(const char *name)
{
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (!strcmp(name, options[i].name))
            return i;
    fprintf(stderr, "probe: %s: unknown option\n", name);
    exit(2);
}

static int report(const char *call, int result)
{
    int error = errno;
    printf("%s = %d", call, result);
    if (result < 0)
        printf(" %s", error_name(error));
    else if (error != UNTOUCHED)
        printf(" (errno became %s)", error_name(error));
    printf("\n");
    fflush(stdout);
    return result;
}

/* The first options of the table. */
static void show(int count)
{
    for (int i = 0; i < count; i++) {
        int value = -1;
        socklen_t length = sizeof value;
        int failed = getsockopt(current, options[i].level, options[i].number, &value, &length);
        printf("%s%s=", i ? " " : "", options[i].name);
        if (failed)
            printf("%s", error_name(errno));
        else
            printf("%d", value);
    }
    printf("\n");
}

/* Whoever has not called `listen` connects to the discard port. */
static int connect_current(void)
{
    if (!address_length) {
        int domain;
        socklen_t length = sizeof domain;
        getsockopt(current, SOL_SOCKET, SO_DOMAIN, &domain, &length);
        address.ss_family = domain;
        if (domain == AF_INET) {
            *(struct sockaddr_in *)&address = (struct sockaddr_in){.sin_family = AF_INET,
                .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
            address_length = sizeof(struct sockaddr_in);
        } else {
            *(struct sockaddr_in6 *)&address = (struct sockaddr_in6){.sin6_family = AF_INET6,
                .sin6_port = htons(9), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
            address_length = sizeof(struct sockaddr_in6);
        }
    }
    errno = UNTOUCHED;
    return connect(current, (struct sockaddr *)&address, address_length);
}

static void listen_current(void)
{
    int domain;
    socklen_t length = sizeof domain;
    getsockopt(current, SOL_SOCKET, SO_DOMAIN, &domain, &length);
    struct sockaddr_storage any = {.ss_family = domain};
    if (domain == AF_INET)
        ((struct sockaddr_in *)&any)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (domain == AF_INET6)
        ((struct sockaddr_in6 *)&any)->sin6_addr = in6addr_loopback;
    socklen_t size = domain == AF_UNIX ? sizeof(sa_family_t)
        : domain == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    address_length = sizeof address;
    if (bind(current, (struct sockaddr *)&any, size) || listen(current, 9)
        || getsockname(current, (struct sockaddr *)&address, &address_length)) {
        perror("probe: listen");
        exit(2);
    }
    listener = current;
}

int main(int count, char **arguments)
{
    /* What was left open by whoever started this: descriptors are expected to begin with 3. */
    for (int fd = 3; fd < 256; fd++)
        close(fd);
    for (char **next = arguments + 1; *next; ) {
        const char *call = *next++;
        int result;
#define ARGUMENT (*next ? *next++ : (fprintf(stderr, "probe: %s: too short\n", call), exit(2), ""))
        if (!strcmp(call, "socket") || !strcmp(call, "raw_socket")) {
            int domain = constant(ARGUMENT), type = constant(ARGUMENT);
            int protocol = constant(ARGUMENT);
            errno = UNTOUCHED;
            result = *call == 's' ? socket(domain, type, protocol)
                : syscall(SYS_socket, domain, type, protocol);
            report(call, result);
            if (result >= 0)
                current = result;
        } else if (!strcmp(call, "show")) {
            show(5);
        } else if (!strcmp(call, "show_all")) {
            show(7);
        } else if (!strcmp(call, "flags")) {
            printf("FD_CLOEXEC=%d O_NONBLOCK=%d\n", fcntl(current, F_GETFD),
                   !!(fcntl(current, F_GETFL) & O_NONBLOCK));
        } else if (!strcmp(call, "listen")) {
            listen_current();
        } else if (!strcmp(call, "connect")) {
            report(call, connect_current());
        } else if (!strcmp(call, "connect_to_bad_address")) {
            errno = UNTOUCHED;
            report(call, connect(current, (struct sockaddr *)1, sizeof(struct sockaddr_in)));
        } else if (!strcmp(call, "connect_of_bad_descriptor")) {
            errno = UNTOUCHED;
            report(call, connect(-1, (struct sockaddr *)&address, sizeof address));
        } else if (!strcmp(call, "accept") || !strcmp(call, "accept4")) {
            errno = UNTOUCHED;
            result = call[6] ? accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)
                : accept(listener, NULL, NULL);
            report(call, result);
            if (result >= 0)
                current = result;
        } else if (!strcmp(call, "accept_to_bad_address") || !strcmp(call, "accept4_to_bad_address")) {
            errno = UNTOUCHED;
            socklen_t *bad = (socklen_t *)1;
            report(call, call[6] == '4' ? accept4(listener, (struct sockaddr *)1, bad, 0)
                : accept(listener, (struct sockaddr *)1, bad));
        } else if (!strcmp(call, "set")) {
            int which = option(ARGUMENT), value = constant(ARGUMENT);
            errno = UNTOUCHED;
            report(call, setsockopt(current, options[which].level, options[which].number, &value,
                                    sizeof value));
        } else if (!strcmp(call, "set_on_bad_descriptor")) {
            int which = option(ARGUMENT), value = 1;
            errno = UNTOUCHED;
            report(call, setsockopt(-1, options[which].level, options[which].number, &value,
                                    sizeof value));
        } else if (!strcmp(call, "set_from_bad_address")) {
            int which = option(ARGUMENT);
            errno = UNTOUCHED;
            report(call, setsockopt(current, options[which].level, options[which].number,
                                    (void *)1, sizeof(int)));
        } else if (!strcmp(call, "set_with_short_length")) {
            int which = option(ARGUMENT), value = 1;
            errno = UNTOUCHED;
            report(call, setsockopt(current, options[which].level, options[which].number, &value, 1));
        } else if (!strcmp(call, "fork")) {
            /* What follows is the child's. */
            pid_t child = fork();
            if (child) {
                int status = -1;
                waitpid(child, &status, 0);
                return status != 0;
            }
            printf("fork = %d\n", getpid());
        } else if (!strcmp(call, "clearenv")) {
            clearenv();
        } else if (!strcmp(call, "close")) {
            close(constant(ARGUMENT));
        } else if (!strcmp(call, "open")) {
            report(call, open(ARGUMENT, O_WRONLY | O_CREAT | O_APPEND, 0600) < 0 ? -1 : 0);
        } else if (!strcmp(call, "received")) {
            int bytes = -1;
            ioctl(current, FIONREAD, &bytes);
            printf("received = %d bytes\n", bytes);
        } else if (!strcmp(call, "use")) {
            current = constant(ARGUMENT);
        } else {
            fprintf(stderr, "probe: %s: unknown call\n", call);
            return 2;
        }
    }
    return 0;
}

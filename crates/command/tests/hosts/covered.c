/* Connects to itself in the way that the argument names, and prints the options of both ends:

     client 1 56 10 5 0 6 9600

   which is whether keepalive is on, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT,
   TCP_SYNCNT and TCP_RTO_MAX_MS (-1 where the kernel has none); or what becomes of data in flight. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS 44
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static int check(const char *call, int result)
{
    if (result < 0) {
        perror(call);
        exit(2);
    }
    return result;
}

static int get(int fd, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    return getsockopt(fd, level, name, &value, &length) ? -1 : value;
}

static void set(int fd, int level, int name, int value)
{
    check("setsockopt", setsockopt(fd, level, name, &value, sizeof value));
}

static void print(const char *who, int fd)
{
    static const int names[] = {TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT,
                                TCP_SYNCNT, TCP_RTO_MAX_MS};
    printf("%s %d", who, get(fd, SOL_SOCKET, SO_KEEPALIVE));
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        printf(" %d", get(fd, IPPROTO_TCP, names[i]));
    puts("");
    fflush(stdout);
}

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static union address address;
static socklen_t address_length;
static int family = AF_INET, protocol = 0;

static int new_socket(void)
{
    return check("socket", socket(family, SOCK_STREAM, protocol));
}

static int listening(void)
{
    int listener = new_socket();
    address_length = family == AF_INET ? sizeof address.v4 : sizeof address.v6;
    address.any.sa_family = family;
    if (family == AF_INET)
        address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check("bind", bind(listener, &address.any, address_length));
    check("listen", listen(listener, 4096));
    check("getsockname", getsockname(listener, &address.any, &address_length));
    return listener;
}

static int connected(void)
{
    int client = new_socket();
    check("connect", connect(client, &address.any, address_length));
    return client;
}

static int accepted(int listener)
{
    return check("accept", accept(listener, NULL, NULL));
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

/* Data in flight, and a peer that is silent for good, that is silent for 8 s, or that does not read
   for 20 s while the socket is open, and for 20 s more after it is closed. */
static void in_flight(const char *how)
{
    static char bytes[1 << 20];
    int listener = listening(), client = connected(), server = accepted(listener);
    /* It is the other end that is looked at. */
    set(server, SOL_SOCKET, SO_KEEPALIVE, 0);
    struct sock_filter nothing = BPF_STMT(BPF_RET, 0);
    struct sock_fprog filter = {1, &nothing};
    if (!strcmp(how, "unread")) {
        ssize_t part, sent = 0, read_back = 0;
        while ((part = send(client, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
            sent += part;
        sleep(20);
        printf("unread: error %d", get(client, SOL_SOCKET, SO_ERROR));
        close(client);
        sleep(20);
        while ((part = read(server, bytes, sizeof bytes)) > 0)
            read_back += part;
        printf(", lost %zd\n", sent - read_back);
        return;
    }
    check("filter", setsockopt(server, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter));
    double begin = now();
    check("send", send(client, "x", 1, 0));
    if (!strcmp(how, "silent")) {
        struct pollfd end = {client, 0, 0};
        poll(&end, 1, 20000);
        printf("silent: error %d %s\n", get(client, SOL_SOCKET, SO_ERROR),
               now() - begin < 12 ? "in time" : "too late");
        return;
    }
    sleep(8);
    printf("outage: %s", get(client, IPPROTO_TCP, TCP_USER_TIMEOUT) ? "bounded" : "not bounded");
    check("filter", setsockopt(server, SOL_SOCKET, SO_DETACH_FILTER, &filter, sizeof filter));
    /* A kernel that does not ask hears only what the peer says by itself. */
    check("send", send(server, "y", 1, 0));
    sleep(1);
    printf(", then %d", get(client, IPPROTO_TCP, TCP_USER_TIMEOUT));
    printf(", received %zd\n", read(server, bytes, sizeof bytes));
}

static void set_file(const char *name, const char *value)
{
    int file = check(name, open(name, O_WRONLY));
    check(name, write(file, value, strlen(value)));
    close(file);
}

/* A network namespace of its own, whose loopback is up. */
static void new_network(void)
{
    check("unshare", unshare(CLONE_NEWNET));
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = check("socket", socket(AF_INET, SOCK_DGRAM, 0));
    check("ioctl", ioctl(fd, SIOCSIFFLAGS, &loopback));
    close(fd);
}

/* A counter of /proc/net/netstat. */
static long counter(const char *wanted)
{
    static char names[1 << 16], values[1 << 16];
    FILE *file = fopen("/proc/net/netstat", "r");
    while (file && fgets(names, sizeof names, file) && fgets(values, sizeof values, file)) {
        char *rest_of_names, *rest_of_values;
        char *name = strtok_r(names, " \n", &rest_of_names);
        char *value = strtok_r(values, " \n", &rest_of_values);
        for (; name && value; name = strtok_r(NULL, " \n", &rest_of_names),
                              value = strtok_r(NULL, " \n", &rest_of_values))
            if (!strcmp(name, wanted)) {
                fclose(file);
                return atol(value);
            }
    }
    return -1;
}

/* One operation by io_uring, whose result is waited for. */
static int ring_call(int operation, int fd, void *pointer, unsigned long long offset)
{
    struct io_uring_params params = {0};
    int ring = check("io_uring_setup", syscall(SYS_io_uring_setup, 1, &params));
    size_t size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    if (size < params.sq_off.array + params.sq_entries * sizeof(unsigned))
        size = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    char *rings = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *entry = mmap(NULL, params.sq_entries * sizeof *entry,
                                      PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    if (rings == MAP_FAILED || (void *)entry == MAP_FAILED)
        check("mmap", -1);
    memset(entry, 0, sizeof *entry);
    entry->opcode = operation;
    entry->fd = fd;
    entry->addr = (unsigned long)pointer;
    entry->off = offset;
    *(unsigned *)(rings + params.sq_off.array) = 0;
    __atomic_store_n((unsigned *)(rings + params.sq_off.tail), 1, __ATOMIC_RELEASE);
    check("io_uring_enter",
          syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0));
    int result = ((struct io_uring_cqe *)(rings + params.cq_off.cqes))->res;
    close(ring);
    errno = -result;
    return check("io_uring", result);
}

/* So many connections, of which those are counted whose options are not there when accept(2), or
   connect(2), returns. */
static void crowd(int number)
{
    int listener = listening(), without = 0;
    for (int i = 0; i < number; i++) {
        int client = connected(), server = accepted(listener);
        without += !get(client, SOL_SOCKET, SO_KEEPALIVE) || !get(server, SOL_SOCKET, SO_KEEPALIVE)
                   || get(client, IPPROTO_TCP, TCP_KEEPIDLE) != get(server, IPPROTO_TCP, TCP_KEEPIDLE);
        /* Neither end waits for the other's ports. */
        struct linger reset = {1, 0};
        setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(client);
        close(server);
    }
    printf("%d connections, %d without\n", number, without);
}

int main(int count, char **arguments)
{
    const char *how = count > 1 ? arguments[1] : "plain";
    if (!strcmp(how, "crowd")) {
        crowd(count > 2 ? atoi(arguments[2]) : 1);
        return 0;
    }
    if (!strcmp(how, "silent") || !strcmp(how, "outage") || !strcmp(how, "unread")) {
        in_flight(how);
        return 0;
    }
    if (!strcmp(how, "cookies")) {
        new_network();
        set_file("/proc/sys/net/ipv4/tcp_syncookies", "2");
        crowd(count > 2 ? atoi(arguments[2]) : 1);
        printf("%ld by cookies\n", counter("SyncookiesRecv"));
        return 0;
    }
    if (!strcmp(how, "v6") || !strcmp(how, "mapped")
        || (!strcmp(how, "after") && count > 2 && !strcmp(arguments[2], "v6")))
        family = AF_INET6;
    if (family == AF_INET6)
        address.v6.sin6_addr = in6addr_loopback;
    if (!strcmp(how, "mapped"))
        inet_pton(AF_INET6, "::ffff:127.0.0.1", &address.v6.sin6_addr);
    if (!strcmp(how, "mptcp"))
        protocol = IPPROTO_MPTCP;
    if (!strcmp(how, "fastopen") || !strcmp(how, "nonblocking"))
        new_network();
    if (!strcmp(how, "fastopen")) {
        /* Data in the SYN, without a cookie. */
        set_file("/proc/sys/net/ipv4/tcp_fastopen", "519");
    }

    int listener = listening(), client;
    if (!strcmp(how, "own")) {
        client = new_socket();
        set(client, SOL_SOCKET, SO_KEEPALIVE, 1);
        set(client, IPPROTO_TCP, TCP_KEEPIDLE, 300);
        check("connect", connect(client, &address.any, address_length));
    } else if (!strcmp(how, "own-time")) {
        client = new_socket();
        set(client, IPPROTO_TCP, TCP_KEEPIDLE, 300);
        check("connect", connect(client, &address.any, address_length));
    } else if (!strcmp(how, "on")) {
        client = new_socket();
        set(client, SOL_SOCKET, SO_KEEPALIVE, 1);
        check("connect", connect(client, &address.any, address_length));
    } else if (!strcmp(how, "bounded")) {
        client = new_socket();
        set(client, IPPROTO_TCP, TCP_RTO_MAX_MS, 60000);
        check("connect", connect(client, &address.any, address_length));
    } else if (!strcmp(how, "nonblocking")) {
        /* The handshake takes until the listener's queue has room. */
        check("listen", listen(listener, 0));
        int filler = connected();
        client = check("socket", socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0));
        if (connect(client, &address.any, address_length) == 0 || errno != EINPROGRESS)
            check("connect", -1);
        set(client, IPPROTO_TCP, TCP_KEEPIDLE, 301);
        set(client, IPPROTO_TCP, TCP_KEEPCNT, 3);
        print("during", client);
        close(accepted(listener));
        close(filler);
        struct pollfd writable = {.fd = client, .events = POLLOUT};
        check("poll", poll(&writable, 1, 20000));
        if (get(client, SOL_SOCKET, SO_ERROR) != 0)
            check("connect", -1);
    } else if (!strcmp(how, "fastopen")) {
        set(listener, IPPROTO_TCP, TCP_FASTOPEN, 16);
        client = new_socket();
        check("sendto", sendto(client, "x", 1, MSG_FASTOPEN, &address.any, address_length));
    } else if (!strcmp(how, "moved")) {
        /* Both sockets are older than the move; 0 is this process. */
        client = new_socket();
        set_file(count > 2 ? arguments[2] : "", "0");
        check("connect", connect(client, &address.any, address_length));
    } else if (!strcmp(how, "ring")) {
        client = ring_call(IORING_OP_SOCKET, AF_INET, NULL, SOCK_STREAM);
        ring_call(IORING_OP_CONNECT, client, &address, address_length);
    } else {
        client = connected();
    }
    int server =
        strcmp(how, "ring") ? accepted(listener) : ring_call(IORING_OP_ACCEPT, listener, NULL, 0);
    print("client", client);
    print("server", server);

    if (!strcmp(how, "fastopen"))
        printf("%ld by fast open\n", counter("TCPFastOpenPassive"));
    if (!strcmp(how, "after")) {
        set(client, SOL_SOCKET, SO_KEEPALIVE, 0);
        set(server, SOL_SOCKET, SO_KEEPALIVE, 1);
        set(server, IPPROTO_TCP, TCP_KEEPIDLE, 15);
        set(server, IPPROTO_TCP, TCP_KEEPINTVL, 15);
        set(server, IPPROTO_TCP, TCP_KEEPCNT, 9);
        print("client", client);
        print("server", server);
        int wrong = 32768;
        int result = setsockopt(client, IPPROTO_TCP, TCP_KEEPIDLE, &wrong, sizeof wrong);
        printf("wrong %d %d\n", result, errno);
        result = setsockopt(client, IPPROTO_TCP, TCP_KEEPIDLE, &wrong, 2);
        printf("short %d %d\n", result, errno);
        /* Longer than a page. */
        static int long_value[3000] = {33};
        result = setsockopt(client, IPPROTO_TCP, TCP_KEEPIDLE, long_value, sizeof long_value);
        printf("long %d %d\n", result, get(client, IPPROTO_TCP, TCP_KEEPIDLE));
        static char filter[9000];
        result = setsockopt(client, IPPROTO_TCP, TCP_NODELAY, memset(filter, 1, 9000), 9000);
        printf("other %d %d\n", result, get(client, IPPROTO_TCP, TCP_NODELAY));
        int datagrams = check("socket", socket(AF_INET, SOCK_DGRAM, 0)), pair[2];
        check("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
        set(datagrams, SOL_SOCKET, SO_KEEPALIVE, 0);
        set(pair[0], SOL_SOCKET, SO_KEEPALIVE, 0);
        printf("udp %d unix %d\n", get(datagrams, SOL_SOCKET, SO_KEEPALIVE),
               get(pair[0], SOL_SOCKET, SO_KEEPALIVE));
    }
    /* Until stdin ends, for who wants to look from outside. */
    char byte;
    while (read(0, &byte, 1) > 0)
        ;
}

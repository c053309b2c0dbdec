/* Eight threads open, connect, accept and fail while others fork, vfork and exec, change the
   environment, load and unload a library. The arguments: how many calls of hooked functions there
   are to be, and the library. Every result, every errno and every socket is looked at. */

#define _GNU_SOURCE
#include "check.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

static long wanted;
static char *program, *library, *emulator;
static atomic_long calls;
static atomic_int wrong, forked, executed, environments, loaded;
static char *environment_of_children[5];

static int done(void)
{
    return atomic_load(&calls) >= wanted;
}

/* Counts what is not as it must be; the first few are named. */
static void check(int condition, const char *what, int line)
{
    int error = errno;
    if (!condition && atomic_fetch_add(&wrong, 1) < 5)
        dprintf(2, "threads.c:%d: %s (errno %d)\n", line, what, error);
}
#define CHECK(condition) check((condition), #condition, __LINE__)

/* Each is one call of a hooked function: it succeeds and leaves errno, or fails as it should. */
#define SUCCEEDS(call) (errno = UNTOUCHED, CHECK((call) >= 0 && errno == UNTOUCHED), count_call())
#define FAILS(error, call) (errno = 0, CHECK((call) == -1 && errno == (error)), count_call())

static void count_call(void)
{
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
}

/* Closes without a TIME_WAIT, of which a million connections would leave too many. */
static void reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    SUCCEEDS(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now));
    close(fd);
}

/* On what is not TCP the library must ask in vain, and that must not show either. */
static void *open_sockets(void *nothing)
{
    struct sockaddr_in discard = {.sin_family = AF_INET, .sin_port = htons(9),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof address;
    int listener;
    SUCCEEDS(listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    must("bind", bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)));
    must("listen", listen(listener, 9));
    must("getsockname", getsockname(listener, (struct sockaddr *)&address, &length));
    while (!done()) {
        int tcp, tcp6, udp, local, accepted;
        SUCCEEDS(tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        SUCCEEDS(tcp6 = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
        SUCCEEDS(udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        SUCCEEDS(local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        CHECK(has_settings(tcp));
        CHECK(has_settings(tcp6));
        SUCCEEDS(connect(udp, (struct sockaddr *)&discard, sizeof discard));
        SUCCEEDS(connect(local, (struct sockaddr *)&address, length));
        SUCCEEDS(accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC));
        CHECK(get_option(udp, SOL_SOCKET, SO_KEEPALIVE) == 0);
        CHECK(get_option(local, SOL_SOCKET, SO_KEEPALIVE) == 0);
        CHECK(get_option(accepted, SOL_SOCKET, SO_KEEPALIVE) == 0);
        close(tcp), close(tcp6), close(udp), close(local), close(accepted);
    }
    close(listener);
    return nothing;
}

/* One connection after the other, of sockets that the library saw and of sockets that it did
   not see: those get their settings at connect() and accept(). */
static void *connect_and_accept(void *nothing)
{
    struct sockaddr_in address;
    int seen = listener_on(&address, 9);
    socklen_t length = sizeof address;
    int unseen = must("socket", syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
    struct sockaddr_in other = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    must("bind", bind(unseen, (struct sockaddr *)&other, sizeof other));
    must("listen", listen(unseen, 9));
    must("getsockname", getsockname(unseen, (struct sockaddr *)&other, &length));
    while (!done()) {
        int client, server;
        SUCCEEDS(client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        SUCCEEDS(connect(client, (struct sockaddr *)&address, sizeof address));
        SUCCEEDS(server = accept(seen, NULL, NULL));
        CHECK(has_settings(client));
        CHECK(has_settings(server));
        reset(client), reset(server);

        client = must("socket", syscall(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        SUCCEEDS(connect(client, (struct sockaddr *)&other, sizeof other));
        SUCCEEDS(server = accept4(unseen, NULL, NULL, SOCK_CLOEXEC));
        CHECK(has_settings(client));
        CHECK(has_settings(server));
        reset(client), reset(server);
    }
    close(seen), close(unseen);
    return nothing;
}

static void *fail(void *nothing)
{
    struct sockaddr_in address, nobody;
    int listener = listener_on(&address, 9);
    int refusing = bound_on(&nobody);
    int idle;
    SUCCEEDS(idle = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    while (!done()) {
        int tcp, one = 1;
        FAILS(EAFNOSUPPORT, socket(-1, SOCK_STREAM, 0));
        FAILS(EPROTONOSUPPORT, socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
        FAILS(EBADF, connect(-1, (struct sockaddr *)&address, sizeof address));
        FAILS(EFAULT, connect(idle, (struct sockaddr *)1, sizeof address));
        FAILS(ENOTSOCK, connect(0, (struct sockaddr *)&address, sizeof address));
        FAILS(EBADF, accept(-1, NULL, NULL));
        FAILS(EINVAL, accept(idle, NULL, NULL));
        FAILS(EINVAL, accept4(idle, NULL, NULL, SOCK_CLOEXEC));
        FAILS(EBADF, setsockopt(-1, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one));
        FAILS(ENOPROTOOPT, setsockopt(idle, IPPROTO_TCP, 9999, &one, sizeof one));
        SUCCEEDS(tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        FAILS(ECONNREFUSED, connect(tcp, (struct sockaddr *)&nobody, sizeof nobody));
        close(tcp);
    }
    close(listener), close(idle), close(refusing);
    return nothing;
}

/* What a child does between fork and exec, or exit. */
static int is_child_served(void)
{
    errno = UNTOUCHED;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int served = fd >= 0 && errno == UNTOUCHED && has_settings(fd);
    close(fd);
    return served;
}

static void wait_for(pid_t child)
{
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void *fork_children(void *nothing)
{
    while (!done()) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            _exit(is_child_served() ? 0 : 1);
        }
        wait_for(must("fork", child));
        atomic_fetch_add(&forked, 1);
    }
    return nothing;
}

static void *execute_children(void *nothing)
{
    while (!done()) {
        char *arguments[] = {emulator, program, NULL}, **first = arguments + !emulator;
        pid_t child = vfork();
        if (child == 0) {
            if (is_child_served())
                execve(*first, first, environment_of_children);
            _exit(1);
        }
        wait_for(must("vfork", child));
        atomic_fetch_add(&executed, 1);
    }
    return nothing;
}

static void *change_environment(void *nothing)
{
    while (!done()) {
        static char off[] = "KEEPALIVE=off";
        setenv("KEEPIDLE", "1", 1);
        setenv("TCP_KEEPINTVL", "1", 1);
        putenv(off);
        clearenv();
        atomic_fetch_add(&environments, 1);
        usleep(100);
    }
    return nothing;
}

static void *load_and_unload(void *nothing)
{
    while (!done()) {
        void *handle = dlopen(library, RTLD_NOW);
        CHECK(handle != NULL);
        int (*open_socket)(void) = (int (*)(void))dlsym(handle, "open_socket");
        CHECK(open_socket != NULL);
        int fd;
        SUCCEEDS(fd = open_socket());
        CHECK(has_settings(fd));
        close(fd);
        dlclose(handle);
        atomic_fetch_add(&loaded, 1);
    }
    return nothing;
}

int main(int count, char **arguments)
{
    if (count < 3)
        return is_child_served() ? 0 : 1;
    wanted = atol(arguments[1]);
    program = arguments[0];
    emulator = getenv("KEEPALIVE_TEST_EMULATOR");
    library = arguments[2];
    alarm(60);
    const char *names[] = {"LD_PRELOAD", "KEEPCNT", "KEEPIDLE", "KEEPINTVL"};
    for (int i = 0, used = 0; i < 4; i++)
        if (getenv(names[i]))
            must("asprintf", asprintf(&environment_of_children[used++], "%s=%s", names[i],
                                      getenv(names[i])));

    int before = open_descriptors();
    void *(*work[])(void *) = {
        open_sockets, open_sockets, open_sockets, connect_and_accept, connect_and_accept,
        connect_and_accept, fail, fail,
        fork_children, execute_children, change_environment, load_and_unload,
    };
    enum { THREADS = sizeof work / sizeof *work };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work[i], NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);

    printf("calls=%ld forked=%d executed=%d environments=%d loaded=%d\n", calls, forked, executed,
           environments, loaded);
    printf("wrong=%d leaked=%d\n", wrong, open_descriptors() - before);
    return 0;
}

/* SIGINT arrives while accept() and connect() block, with SA_RESTART and without. */

#define _GNU_SOURCE
#include "check.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static volatile sig_atomic_t signals;

static void handler(int number)
{
    (void)number;
    signals++;
}

static void handle(int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigaction(SIGINT, &action, NULL);
    signals = 0;
}

/* A child that sends SIGINT when the parent blocks, and then lets the call go on. */
static pid_t interrupt(void (*go_on)(void))
{
    pid_t child = must("fork", fork());
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        usleep(50000);
        kill(getppid(), SIGINT);
        usleep(50000);
        if (go_on)
            go_on();
        _exit(0);
    }
    return child;
}

static void report(const char *what, int result, pid_t child)
{
    printf("%s: %s, signals=%d\n", what,
           result >= 0 ? "succeeded" : error_name(errno), signals);
    fflush(stdout);
    waitpid(child, NULL, 0);
}

static struct sockaddr_in address;
static int listener;

static void connect_to_it(void)
{
    int fd = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    must("connect", connect(fd, (struct sockaddr *)&address, sizeof address));
    sleep(1);
}

static void accept_two(void)
{
    must("accept", accept(listener, NULL, NULL));
    must("accept", accept(listener, NULL, NULL));
}

static int new_socket(void)
{
    return must("socket", socket(AF_INET, SOCK_STREAM, 0));
}

int main(void)
{
    alarm(20);
    listener = listener_on(&address, 0);

    handle(0);
    pid_t child = interrupt(NULL);
    int fd = accept(listener, NULL, NULL);
    report("accept", fd, child);
    child = interrupt(NULL);
    signals = 0;
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    report("accept4", fd, child);
    handle(SA_RESTART);
    child = interrupt(connect_to_it);
    fd = accept(listener, NULL, NULL);
    report("accept with SA_RESTART", fd, child);
    print_options("accepted", fd);

    /* The queue of the listener is full with one connection; whoever comes then waits. */
    int first = new_socket();
    must("connect", connect(first, (struct sockaddr *)&address, sizeof address));
    handle(0);
    child = interrupt(NULL);
    fd = new_socket();
    report("connect", connect(fd, (struct sockaddr *)&address, sizeof address), child);
    print_options("interrupted", fd);
    close(fd);
    handle(SA_RESTART);
    child = interrupt(accept_two);
    fd = new_socket();
    report("connect with SA_RESTART", connect(fd, (struct sockaddr *)&address, sizeof address),
           child);
    print_options("connected", fd);
    return 0;
}

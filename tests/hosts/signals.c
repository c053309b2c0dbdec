/* A signal handler on a small alternate stack opens sockets, and interrupts whatever the program
   does: the allocator, the loader, and socket() itself, each as many times as the argument says.
   Another process sends the signals, each when the one before has been handled. */

#define _GNU_SOURCE
#include "check.h"
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

enum { MALLOC, DLSYM, SOCKET, ACTIVITIES };

static struct {
    atomic_int wanted, handled;
    atomic_int interrupted[ACTIVITIES], wrong_option, wrong_errno;
} *shared;

static volatile sig_atomic_t activity;
static struct sockaddr_in nobody;

static void check(int condition, atomic_int *counter)
{
    if (!condition)
        atomic_fetch_add(counter, 1);
}

/* Opens a socket, and has one refused that nobody listens for. */
static void use_socket(void)
{
    errno = UNTOUCHED;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    check(fd >= 0 && errno == UNTOUCHED, &shared->wrong_errno);
    check(has_settings(fd), &shared->wrong_option);
    int result = connect(fd, (struct sockaddr *)&nobody, sizeof nobody);
    check(result == -1 && (errno == ECONNREFUSED || errno == EINTR), &shared->wrong_errno);
    close(fd);
}

static void handler(int signal)
{
    (void)signal;
    int error = errno;
    atomic_fetch_add(&shared->interrupted[activity], 1);
    use_socket();
    atomic_fetch_add(&shared->handled, 1);
    errno = error;
}

static void do_malloc(void)
{
    void *blocks[50];
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 50; i++)
            blocks[i] = malloc(16 << (i % 14));
        for (int i = 0; i < 50; i++)
            free(blocks[i]);
    }
}

static void do_dlsym(void)
{
    for (int i = 0; i < 40; i++)
        if (!dlsym(RTLD_DEFAULT, "strtol") || dlsym(RTLD_DEFAULT, "no such symbol"))
            abort();
    dlerror();
}

static void *sleep_on(void *nothing)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    for (;;)
        pause();
    return nothing;
}

/* What the kernel needs for the frame of a handler, four kilobytes for all else (glibc's printf
   alone takes more), and beneath it a page that may not be touched. */
static void use_small_stack(void)
{
    size_t page = sysconf(_SC_PAGESIZE), frame = getauxval(AT_MINSIGSTKSZ);
    size_t size = (frame ? frame : 2048) + 4096;
    char *memory = mmap(NULL, 16 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t pages = (size + page - 1) / page;
    must("mprotect", mprotect(memory + page, pages * page, PROT_READ | PROT_WRITE));
    stack_t stack = {.ss_sp = memory + page, .ss_size = size};
    must("sigaltstack", sigaltstack(&stack, NULL));
}

int main(int count, char **arguments)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared->wanted = count > 1 ? atoi(arguments[1]) : 1000;
    bound_on(&nobody);

    sigset_t ready;
    sigemptyset(&ready), sigaddset(&ready, SIGUSR2);
    sigprocmask(SIG_BLOCK, &ready, NULL);
    pid_t parent = getpid(), child = must("fork", fork());
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(100);
        struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK | SA_RESTART};
        use_small_stack();
        must("sigaction", sigaction(SIGUSR1, &action, NULL));
        /* Without a second thread the allocator takes no locks. */
        pthread_t idle;
        pthread_create(&idle, NULL, sleep_on, NULL);
        kill(parent, SIGUSR2);
        static void (*const act[ACTIVITIES])(void) = {do_malloc, do_dlsym, use_socket};
        for (int i = 0; i < ACTIVITIES; i++)
            for (activity = i; shared->interrupted[i] < shared->wanted;)
                act[i]();
        return 0;
    }

    int number, status, idle = 0;
    sigwait(&ready, &number);
    while (!waitpid(child, &status, WNOHANG)) {
        int handled = shared->handled;
        kill(child, SIGUSR1);
        for (int i = 0; i < 1000 && shared->handled == handled; i++)
            usleep(20);
        /* Several seconds without an answer: it hangs. */
        idle = shared->handled == handled ? idle + 1 : 0;
        if (idle == 100)
            kill(child, SIGKILL);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status)) {
        printf("ended by signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
        return 1;
    }
    printf("handled=%d wrong_option=%d wrong_errno=%d\n", shared->handled, shared->wrong_option,
           shared->wrong_errno);
    printf("interrupted malloc=%d dlsym=%d socket=%d\n", shared->interrupted[MALLOC],
           shared->interrupted[DLSYM], shared->interrupted[SOCKET]);
    return 0;
}

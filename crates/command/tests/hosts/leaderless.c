/* target.c, whose first thread ends: another one does everything. It ends at once, or with an argument
   once SIGUSR1 comes. */

#include <pthread.h>
#include <signal.h>

#define main target
#include "target.c"
#undef main

static void *run(void *nothing)
{
    char *arguments[] = {"leaderless", NULL};
    exit(target(1, arguments));
}

int main(int count, char **arguments)
{
    (void)arguments;
    int signal;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, NULL))
        return 2;
    if (count > 1)
        sigwait(&signals, &signal);
    pthread_exit(NULL);
}

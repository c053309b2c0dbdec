/* target.c, whose first thread ends at once: another one does everything. */

#include <pthread.h>

#define main target
#include "target.c"
#undef main

static void *run(void *nothing)
{
    char *arguments[] = {"leaderless", NULL};
    exit(target(1, arguments));
}

int main(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, NULL))
        return 2;
    pthread_exit(NULL);
}

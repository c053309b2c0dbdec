/* A shared library whose constructor starts eight threads that all make the process's first
   calls at the same time. Prints how many were served. */

#define _GNU_SOURCE
#include "check.h"
#include <pthread.h>

enum { THREADS = 8 };

static pthread_barrier_t start;
static int served[THREADS];

static void *call(void *result)
{
    pthread_barrier_wait(&start);
    errno = UNTOUCHED;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *(int *)result = errno == UNTOUCHED && has_settings(fd);
    close(fd);
    return NULL;
}

__attribute__((constructor)) static void constructor(void)
{
    pthread_t threads[THREADS];
    int count = 0;
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, call, &served[i]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        count += served[i];
    dprintf(1, "served=%d\n", count);
}

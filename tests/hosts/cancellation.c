/* Threads that block in connect(), accept() and accept4() are cancelled, deferred and
   asynchronously, some before they have got that far. Each has a cleanup handler on its stack,
   and in C++ (cancellation_in_cpp.cc) an object with a destructor. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "check.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>

enum { REPETITIONS = 200 };

static struct sockaddr_in full, idle;
static int idle_listener;
static int cancel_type, cleaned, destroyed;
static volatile int ready;

#ifdef __cplusplus
struct Object {
    ~Object() { destroyed++; }
};
#endif

static void clean_up(void *fd)
{
    close(*(int *)fd);
    cleaned++;
}

/* The frames between a thread's start and the call that blocks. */
__attribute__((noinline)) static void block(const char *call)
{
#ifdef __cplusplus
    Object object;
#endif
    int fd = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    int before;
    pthread_cleanup_push(clean_up, &fd);
    pthread_setcanceltype(cancel_type, &before);
    ready = 1;
    if (!strcmp(call, "connect"))
        connect(fd, (struct sockaddr *)&full, sizeof full);
    else if (!strcmp(call, "accept"))
        accept(idle_listener, NULL, NULL);
    else
        accept4(idle_listener, NULL, NULL, SOCK_CLOEXEC);
    pthread_cleanup_pop(1);
}

static void *start(void *call)
{
    block((const char *)call);
    return NULL;
}

static void cancel(const char *call, int type)
{
    int cancelled = 0;
    cleaned = destroyed = 0;
    cancel_type = type;
    for (int i = 0; i < REPETITIONS; i++) {
        pthread_t thread;
        void *result = NULL;
        ready = 0;
        pthread_create(&thread, NULL, start, (void *)call);
        while (!ready)
            sched_yield();
        /* Some before they block, and in the midst of the library; most while they do. */
        usleep(i * 20);
        pthread_cancel(thread);
        pthread_join(thread, &result);
        cancelled += result == PTHREAD_CANCELED;
    }
    printf("%s, %s: cancelled=%d cleaned=%d destroyed=%d\n", call,
           type == PTHREAD_CANCEL_DEFERRED ? "deferred" : "asynchronous", cancelled, cleaned,
           destroyed);
}

int main(void)
{
    alarm(30);
    int before = open_descriptors();
    int full_listener = listener_on(&full, 0), waiting[4];
    for (int i = 0; i < 4; i++) {
        waiting[i] = must("socket", socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
        connect(waiting[i], (struct sockaddr *)&full, sizeof full);
    }
    idle_listener = listener_on(&idle, 1);
    const char *calls[] = {"connect", "accept", "accept4"};
    for (int i = 0; i < 3; i++) {
        cancel(calls[i], PTHREAD_CANCEL_DEFERRED);
        cancel(calls[i], PTHREAD_CANCEL_ASYNCHRONOUS);
    }
    for (int i = 0; i < 4; i++)
        close(waiting[i]);
    close(full_listener), close(idle_listener);
    printf("leaked=%d\n", open_descriptors() - before);
    return 0;
}

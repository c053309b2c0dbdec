/* A preload under which one clock jumps ahead by an hour, some seconds after the program's begin:
 * CLOCK_BOOTTIME does so when a machine has slept, CLOCK_REALTIME when somebody sets the time.
 * JUMPS is the clock's number, AFTER the seconds. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time)
{
    static time_t begin;
    struct timespec now;

    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    if (begin == 0)
        begin = now.tv_sec;
    if (syscall(SYS_clock_gettime, clock, time) != 0)
        return -1;
    if (clock == atoi(getenv("JUMPS")) && now.tv_sec >= begin + atoi(getenv("AFTER")))
        time->tv_sec += 3600;
    return 0;
}

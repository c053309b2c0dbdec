/* A preload that hooks dlsym(3) and passes every call on, so that RTLD_NEXT is relative to it. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

/* glibc has dlvsym(3), which finds the dlsym that this one hides. musl has not, and there its own
   dlsym is called __dlsym; both know the caller by its return address. */
#ifdef __GLIBC__
void *dlsym(void *restrict handle, const char *restrict name)
{
    static void *(*next)(void *, const char *);
    if (!next)
        for (const char **version = (const char *[]){"GLIBC_2.2.5", "GLIBC_2.17", "GLIBC_2.0", NULL};
             *version && !next; version++)
            next = dlvsym(RTLD_NEXT, "dlsym", *version);
    void *found = next(handle, name);
    __asm__("" ::: "memory"); /* no jump: the call has to come from here */
    return found;
}
#else
void *__dlsym(void *restrict, const char *restrict, void *restrict);

void *dlsym(void *restrict handle, const char *restrict name)
{
    return __dlsym(handle, name, (void *)dlsym);
}
#endif

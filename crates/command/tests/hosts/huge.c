/* As much as a process can have /proc tell of it. 60,000 mappings, half of them of
   a file with a path of 3,500 bytes, and arguments of 1 GiB. The argument is an empty directory.

   Prints `ready 0`. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    char name[251];
    memset(name, 'x', 250);
    name[250] = 0;
    if (count != 2 || chdir(arguments[1]))
        return 2;
    for (int depth = 0; depth < 14; depth++)
        if (mkdir(name, 0755) || chdir(name))
            return 2;
    int file = open("file", O_RDWR | O_CREAT, 0644);
    if (file < 0 || ftruncate(file, 4096))
        return 2;
    char *place = mmap(NULL, 120000ul << 12, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (long page = 0; page < 30000; page++)
        if (mmap(place + (page << 13), 4096, PROT_READ, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED)
            return 2;
    size_t size = 1ul << 30;
    char *text = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (text == MAP_FAILED)
        return 2;
    /* prctl(2), PR_SET_MM_MAP: everything must be given, but for the arguments it hardly matters. */
    unsigned long start = (unsigned long)text, code = (unsigned long)main, heap = (unsigned long)sbrk(0);
    struct prctl_mm_map map = {
        .start_code = code, .end_code = code + 1, .start_data = code, .end_data = code + 1, .start_brk = heap,
        .brk = heap, .start_stack = (unsigned long)&count, .arg_start = start, .arg_end = start + size,
        .env_start = start, .env_end = start + 1, .exe_fd = -1,
    };
    if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0))
        return 3;
    puts("ready 0");
    fflush(stdout);
    pause();
}

/*
 * environment                 prints its environment, an entry a line
 * environment PROGRAM ARG...  starts a program with entries that no shell would make: without a
 *                             name, without a value, twice
 */

#include <stdio.h>
#include <unistd.h>

extern char **environ;

int main(int count, char **arguments)
{
    char *odd[] = {"PATH=/usr/bin:/bin", "TWICE=1",  "no equals sign", "",
                   "=no name",           "TWICE=2",  "EMPTY=",         "LD_PRELOAD=/nonexistent/first.so",
                   "BYTES=\xff\x1b",     "LD_PRELOAD=", NULL};

    if (count > 1) {
        execve(arguments[1], arguments + 1, odd);
        perror(arguments[1]);
        return 1;
    }
    for (char **entry = environ; *entry; entry++)
        puts(*entry);
    return 0;
}

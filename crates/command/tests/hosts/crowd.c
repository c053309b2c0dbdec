/* Many processes of one name, each with a listening socket: as many as the argument says. Prints
   `ready 0` once all are there. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    int pipes[2];
    if (count != 2 || pipe(pipes))
        return 2;
    int number = atoi(arguments[1]);
    for (int child = 1; child < number; child++) {
        if (fork())
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* for Yama, as in target.c */
        if (listen(socket(AF_INET, SOCK_STREAM, 0), 1) || write(pipes[1], "x", 1) != 1)
            return 2;
        pause();
    }
    char byte;
    for (int child = 1; child < number; child++)
        if (read(pipes[0], &byte, 1) != 1)
            return 2;
    if (listen(socket(AF_INET, SOCK_STREAM, 0), 1))
        return 2;
    puts("ready 0");
    fflush(stdout);
    pause();
}

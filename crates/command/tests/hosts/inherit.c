/* Executes a program that inherits something. Arguments: what, and the command line.

     nothing
     signals   SIGCHLD and SIGUSR1 blocked, SIGPIPE ignored, a parent's death signal
     0, 1, 2   this descriptor closed
     closed    all three closed
     session   a session of its own
     orphans   takes in the orphans of its descendants
     child     a child that has ended
     files     descriptors 7 and 9: a device, a directory */

#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    const char *what = count > 2 ? arguments[1] : "";
    sigset_t blocked;
    if (!strcmp(what, "signals")) {
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGCHLD);
        sigaddset(&blocked, SIGUSR1);
        sigprocmask(SIG_SETMASK, &blocked, NULL);
        signal(SIGPIPE, SIG_IGN);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
    } else if (!strcmp(what, "closed")) {
        close(0), close(1), close(2);
    } else if (strlen(what) == 1) {
        close(what[0] - '0');
    } else if (!strcmp(what, "session")) {
        setsid();
    } else if (!strcmp(what, "orphans")) {
        prctl(PR_SET_CHILD_SUBREAPER, 1);
    } else if (!strcmp(what, "child")) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        siginfo_t info;
        waitid(P_PID, child, &info, WEXITED | WNOWAIT);
    } else if (!strcmp(what, "files")) {
        int device = open("/dev/zero", O_RDWR), directory = open("/", O_RDONLY);
        if (dup2(device, 7) < 0 || dup2(directory, 9) < 0)
            return 2;
        close(device), close(directory);
    } else if (strcmp(what, "nothing")) {
        return 2;
    }
    execv(arguments[2], arguments + 2);
    perror("inherit");
    return 2;
}
